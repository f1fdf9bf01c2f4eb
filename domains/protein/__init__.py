"""Protein backbones: Proteina-compatible networks, data, files and metrics (nm inside)."""
