"""Protein domains: the packed set, its classes and its batches."""
