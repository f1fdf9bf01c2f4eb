"""Scenes of drives: sequences, maps, samples and their augmentation."""
