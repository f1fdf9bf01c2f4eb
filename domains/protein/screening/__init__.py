"""Gates of a screen for protein backbones."""
