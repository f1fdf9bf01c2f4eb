"""Fold classes of sets of chains: classifiers and distributions."""
