"""The comparison of a matrix of runs."""
