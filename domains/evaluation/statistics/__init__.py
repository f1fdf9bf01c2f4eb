"""Measures of sets: values, intervals, comparisons and tables."""
