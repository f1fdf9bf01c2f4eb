"""Jensen-Shannon distance between histograms of two clouds over 0.5 m cells.

As LiDiff publishes it: the square root of the divergence, natural logarithm; 0 for equal
histograms, sqrt(ln 2) = 0.833 for disjoint ones. Cells outside [-50, 50]³ don't count.
"""

import math

import numpy as np
from jaxtyping import Float
from scipy.spatial.distance import jensenshannon

from domains.lidar.metrics.clouds import Cells, cells_per_axis, occupied_cells

__all__ = ["jsd_3d", "jsd_bev"]

CELL = 0.5


def jsd_3d(predicted: Float[np.ndarray, "p 3"], truth: Float[np.ndarray, "g 3"]) -> float:
    """Compare the shares of points in each cell; NaN when a cloud has no point in the cube."""
    return _distance(occupied_cells(predicted, CELL), occupied_cells(truth, CELL))


def jsd_bev(predicted: Float[np.ndarray, "p 3"], truth: Float[np.ndarray, "g 3"]) -> float:
    """Compare bird's eye views, the shares of occupied cells in each column; NaN as above."""
    return _distance(_columns(predicted), _columns(truth))


def _columns(points: Float[np.ndarray, "n 3"]) -> Cells:
    """Return the columns of cells that hold points, and how many cells of each do."""
    cells = occupied_cells(points, CELL).numbers
    return Cells(*np.unique(cells // cells_per_axis(CELL), return_counts=True))


def _distance(ours: Cells, real: Cells) -> float:
    """Return the distance between two sparse histograms; cells empty in both add nothing."""
    if not len(ours.numbers) or not len(real.numbers):
        return math.nan
    union = np.union1d(ours.numbers, real.numbers)
    histograms = np.zeros((2, len(union)))
    for histogram, (numbers, counts) in zip(histograms, (ours, real), strict=True):
        histogram[np.searchsorted(union, numbers)] = counts
    return float(jensenshannon(histograms[0], histograms[1]))
