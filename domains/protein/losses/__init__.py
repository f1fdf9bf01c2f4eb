"""Losses and preferences of protein backbones."""
