"""Intersection over union of occupied cells, summed over scenes before the division.

Each scene gives counts; ``iou`` of their sums is the published micro average (LiDiff).
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from domains.lidar.metrics.clouds import occupied_cells

__all__ = ["CELLS", "Counts", "iou", "occupancy_counts", "occupancy_counts_legacy"]

CELLS = (0.5, 0.2, 0.1)


class Counts(NamedTuple):
    """Cells occupied in both clouds (tp), in the truth only (fn), in the prediction only (fp)."""

    tp: int
    fn: int
    fp: int


def occupancy_counts(
    predicted: Float[np.ndarray, "p 3"], truth: Float[np.ndarray, "g 3"], size: float
) -> Counts:
    """Count cells of ``size`` metres in [-50, 50]³."""
    ours, real = (occupied_cells(points, size).numbers for points in (predicted, truth))
    both = len(np.intersect1d(ours, real, assume_unique=True))
    return Counts(both, len(real) - both, len(ours) - both)


def occupancy_counts_legacy(
    predicted: Float[np.ndarray, "p 3"], truth: Float[np.ndarray, "g 3"], size: float
) -> Counts:
    """Count as ScoreLiDAR and Distillation-DPO do, for comparison with their tables only.

    They round to cell *indices* and then take these for metres, so that only points within
    50.5 cells of the sensor count: 25.25, 10.1 and 5.05 m for 0.5, 0.2 and 0.1 m. Such a
    number can't be compared with LiDiff's.
    """
    return occupancy_counts(np.round(predicted / size), np.round(truth / size), size)


def iou(tp: float, fn: float, fp: float) -> float:
    """Return TP / (TP + FN + FP), of one scene or of counts summed over scenes; 0 for 0 / 0."""
    return tp / (tp + fn + fp + 1e-15)
