"""Similarity of chains: superposition, TM-score, clusters."""
