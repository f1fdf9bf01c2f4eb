"""Sections of ``benchmarks/gpu.py``: each is a list of cases, and a case is a function."""
