"""Measures at equal composition: what a chain is, given how much helix and strand it has."""
