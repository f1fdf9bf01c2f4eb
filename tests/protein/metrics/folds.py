"""Small folds for tests of similarity, and whether TM-align is here."""

import shutil
from importlib.util import find_spec

import numpy as np
import pytest

from domains.protein.metrics.geometry.decoys import globule, noised

__all__ = ["fold", "near", "needs_tm_align"]

needs_tm_align = pytest.mark.skipif(
    find_spec("tmtools") is None and shutil.which("TMalign") is None,
    reason="neither tmtools nor TMalign is installed",
)


def fold(seed: int, length: int = 40) -> np.ndarray:
    return globule(length, np.random.default_rng(seed))


def near(chain: np.ndarray, seed: int = 0) -> np.ndarray:
    return noised(chain, 0.03, np.random.default_rng(seed))
