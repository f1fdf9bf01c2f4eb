"""Two clouds and what LiDiff's and Distillation-DPO's programs make of them."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest


class Reference(NamedTuple):
    """Predicted and true points, and the golden values."""

    predicted: np.ndarray
    truth: np.ndarray
    values: dict[str, Any]


@pytest.fixture(scope="session")
def reference(golden: Path) -> Reference:
    clouds = golden / "lidar" / "metrics.npz"
    if not clouds.exists():
        pytest.skip(f"no golden values at {clouds}")
    with np.load(clouds) as arrays:
        predicted, truth = arrays["pred"], arrays["gt"]
    return Reference(predicted, truth, json.loads(clouds.with_suffix(".json").read_text()))
