"""All measures of one completed scene, and the IoU of a set of them."""

import math
from functools import partial
from typing import Literal

import numpy as np
import pandas as pd
from jaxtyping import Float

from domains.evaluation.statistics.bootstrap import bootstrap_interval
from domains.evaluation.statistics.measured import SetMeasure
from domains.lidar.metrics import iou
from domains.lidar.metrics.clouds import check_cloud
from domains.lidar.metrics.distances import (
    areas,
    chamfer,
    nearest_distances,
    precision_recall_f,
    rmse_mean,
)
from domains.lidar.metrics.emd import emd
from domains.lidar.metrics.jensen_shannon import jsd_3d, jsd_bev
from domains.lidar.metrics.sinkhorn_legacy import emd_sinkhorn_legacy

__all__ = ["AVERAGED", "COARSE_VOXEL", "scene_metrics", "set_iou"]

# Columns whose mean over scenes is the published number.
AVERAGED = (
    "chamfer",
    "rmse_mean",
    "precision_auc",
    "recall_auc",
    "f1_auc",
    "jsd_3d",
    "jsd_bev",
    "emd",
    "emd_coarse",
    "emd_gap",
    "emd_sinkhorn_legacy",
)
# Metre; less than an eighth of the time that the published 0.5 m take (lidar_metrics.md).
COARSE_VOXEL = 1.0
_TRANSPORT = {
    True: ("emd", "emd_gap", "emd_sinkhorn_legacy"),
    "coarse": ("emd_coarse", "emd_gap"),
    False: (),
}
_COUNTERS = {
    f"{name}_{size}": (count, size)
    for name, count in (
        ("iou", iou.occupancy_counts),
        ("iou_legacy", iou.occupancy_counts_legacy),
    )
    for size in iou.CELLS
}


def scene_metrics(
    predicted: Float[np.ndarray, "p 3"],
    truth: Float[np.ndarray, "g 3"],
    transport: bool | Literal["coarse"] = True,
) -> dict[str, float]:
    """Return all columns of one scene; a prediction that can't be measured gives NaN.

    Args:
        predicted: Metre, as ``post_filter`` leaves it.
        truth: Metre, near the scan.
        transport: Whether to measure earth mover's distances, which take the longest, and
            between which voxels: of 0.5 m with the published variant, or coarse ones of 1 m.

    Returns:
        ``finite`` (1 when there are points and all are finite), the columns of ``AVERAGED``
        (metre; areas in percent), and the cell counts that ``set_iou`` sums.

    Raises:
        FewstepError: The ground truth is empty or not finite.
    """
    check_cloud(truth)
    if not len(predicted) or not np.isfinite(predicted).all():
        counted = [column for name in _COUNTERS for column in _count_columns(name)]
        moved = _TRANSPORT[transport]
        averaged = [name for name in AVERAGED if name in moved or not name.startswith("emd")]
        return {"finite": 0.0} | dict.fromkeys([*averaged, *counted], math.nan)
    return (
        {"finite": 1.0}
        | _from_distances(predicted, truth)
        | {"jsd_3d": jsd_3d(predicted, truth), "jsd_bev": jsd_bev(predicted, truth)}
        | _from_transport(predicted, truth, transport)
        | _from_occupancy(predicted, truth)
    )


def set_iou(scenes: pd.DataFrame, seed: int = 0) -> tuple[SetMeasure, ...]:
    """Return the micro-averaged IoU of a set, with bootstrap intervals over its scenes.

    Args:
        scenes: One row per scene, with the columns of ``scene_metrics``; rows of scenes that
            couldn't be measured are left out, and ``n`` counts the rest.
        seed: Of the bootstrap.
    """
    measures = []
    for name in _COUNTERS:
        counts = scenes[_count_columns(name)].to_numpy(dtype=np.float64)
        counts = counts[np.isfinite(counts).all(1)]
        statistic = partial(_micro_average, counts)
        interval = bootstrap_interval(np.arange(len(counts)), statistic, seed)
        measures.append(SetMeasure(name, interval, len(counts)))
    return tuple(measures)


def _micro_average(counts: Float[np.ndarray, "s 3"], scenes: Float[np.ndarray, " k"]) -> float:
    """Return the IoU of the drawn scenes, whose numbers the bootstrap makes float64."""
    return iou.iou(*counts[scenes.astype(int)].sum(0).tolist())


def _from_distances(
    predicted: Float[np.ndarray, "p 3"], truth: Float[np.ndarray, "g 3"]
) -> dict[str, float]:
    distances = nearest_distances(predicted, truth)
    names = ("precision_auc", "recall_auc", "f1_auc")
    shares = zip(names, areas(precision_recall_f(distances)).tolist(), strict=True)
    return {"chamfer": chamfer(distances), "rmse_mean": rmse_mean(distances), **dict(shares)}


def _from_transport(
    predicted: Float[np.ndarray, "p 3"],
    truth: Float[np.ndarray, "g 3"],
    transport: bool | Literal["coarse"],
) -> dict[str, float]:
    if not transport:
        return {}
    if transport == "coarse":
        return dict(zip(_TRANSPORT["coarse"], emd(predicted, truth, COARSE_VOXEL), strict=True))
    legacy = emd_sinkhorn_legacy(predicted, truth)
    return dict(zip(_TRANSPORT[True], (*emd(predicted, truth), legacy), strict=True))


def _from_occupancy(
    predicted: Float[np.ndarray, "p 3"], truth: Float[np.ndarray, "g 3"]
) -> dict[str, float]:
    row = {}
    for name, (count, size) in _COUNTERS.items():
        found = map(float, count(predicted, truth, size))
        row |= dict(zip(_count_columns(name), found, strict=True))
    return row


def _count_columns(name: str) -> list[str]:
    return [f"{name}_{field}" for field in iou.Counts._fields]
