"""Seeds the global generators of a test and of its fixtures by their names.

So a test draws the same numbers alone, in the whole suite, in any order and in any worker.
"""

import random
import zlib

import numpy as np
import pytest
import torch

__all__ = ["fixture_name", "seed_by_name"]


def seed_by_name(name: str) -> int:
    """Seed torch, NumPy and ``random`` by a name; return the seed, in [0, 2^32)."""
    seed = zlib.crc32(name.encode())
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    return seed


def fixture_name(fixture: pytest.FixtureDef, request: pytest.FixtureRequest) -> str:
    """Name a fixture by where it stands and its parameter; who asks for it first is left out."""
    return f"{fixture.baseid}::{fixture.argname}[{getattr(request, 'param_index', 0)}]"
