"""How alike chains are: superposition, TM-score, clusters."""
