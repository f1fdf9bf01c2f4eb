"""Conditions of a backbone: fold classes and motifs."""
