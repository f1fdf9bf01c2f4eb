"""Stages: one function each, which is also a command and a rule."""
