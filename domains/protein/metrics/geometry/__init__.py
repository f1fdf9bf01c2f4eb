"""Geometry and secondary structure of a chain, and decoys with wrong ones."""
