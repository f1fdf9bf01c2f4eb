"""Measures of generated protein backbones, on Cα coordinates in nanometre."""
