"""Nearest-neighbour distances and what is read off them: Chamfer, precision, recall, F-score.

The definitions are those of LiDiff's evaluation (Nunes et al. 2024), which take unsquared
distances. All but the thresholds is in metre.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy.integrate import simpson
from scipy.spatial import KDTree

from domains.lidar.metrics.clouds import check_cloud

__all__ = [
    "NearestDistances",
    "areas",
    "chamfer",
    "nearest_distances",
    "precision_recall_f",
    "rmse_mean",
]

THRESHOLDS = np.linspace(0.05, 0.10, 100)


class NearestDistances(NamedTuple):
    """Distance of each point to the nearest one of the other cloud, metre.

    Attributes:
        to_truth: Of each predicted point.
        to_predicted: Of each point of the ground truth.
    """

    to_truth: Float[np.ndarray, " p"]
    to_predicted: Float[np.ndarray, " g"]


def nearest_distances(
    predicted: Float[np.ndarray, "p 3"], truth: Float[np.ndarray, "g 3"]
) -> NearestDistances:
    """Search both ways, once for all the metrics below."""
    predicted, truth = check_cloud(predicted), check_cloud(truth)
    to_truth, _ = KDTree(truth).query(predicted)
    to_predicted, _ = KDTree(predicted).query(truth)
    return NearestDistances(to_truth, to_predicted)


def chamfer(distances: NearestDistances) -> float:
    """Return (mean_p d(p, truth) + mean_g d(g, predicted)) / 2."""
    return float(distances.to_truth.mean() + distances.to_predicted.mean()) / 2


def rmse_mean(distances: NearestDistances) -> float:
    """Return LiDiff's published RMSE: the *mean* distance from prediction to truth, m.

    No square and no root; one way only, so it doesn't see what the prediction leaves out.
    """
    return float(distances.to_truth.mean())


def precision_recall_f(distances: NearestDistances) -> Float[np.ndarray, "3 t"]:
    """Return precision, recall and F-score in percent, at 100 thresholds from 0.05 to 0.10 m.

    Precision is the share of predicted points with d < t (strictly), recall that of the
    ground truth's, F their harmonic mean, 0 where both are 0.
    """
    precision, recall = (
        100 * np.searchsorted(np.sort(each), THRESHOLDS, side="left") / len(each)
        for each in distances
    )
    total = precision + recall
    f_score = np.divide(2 * precision * recall, total, out=np.zeros_like(total), where=total > 0)
    return np.stack([precision, recall, f_score])


def areas(curves: Float[np.ndarray, "c t"]) -> Float[np.ndarray, " c"]:
    """Return each curve's area by Simpson's rule over that of a constant 1, percent.

    The rule is linear: the mean of scenes' areas is the area of the published mean curve.
    """
    whole = simpson(np.ones_like(THRESHOLDS), x=THRESHOLDS)
    return np.asarray(simpson(curves, x=THRESHOLDS)) / whole
