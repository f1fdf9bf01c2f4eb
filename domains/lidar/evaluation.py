"""What is measured of completed scenes, and what a reader must know of it."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float

from domains.config import Evaluate
from domains.domain import Request, Sample
from domains.evaluation.measured import Measured
from domains.evaluation.sets import Metric
from domains.lidar.metrics.distances import chamfer, nearest_distances
from domains.lidar.metrics.scene import AVERAGED, scene_metrics, set_iou
from domains.lidar.scene_sample import SceneSample
from domains.provenance import named

__all__ = ["METRICS", "gallery", "half_truth", "measure", "quick"]

METRICS = {
    "chamfer": Metric(
        "Chamfer distance, m",
        "Mean distance to the nearest point, from completion to truth and back, averaged.",
        "lower",
    ),
    "rmse_mean": Metric(
        "“RMSE”, m",
        "As LiDiff publishes it: the mean distance from completion to truth, no root, no square.",
        "lower",
    ),
    "jsd_3d": Metric(
        "JSD 3-D", "Jensen–Shannon distance of point densities in cells of 0.5 m.", "lower"
    ),
    "jsd_bev": Metric(
        "JSD BEV", "The same seen from above: occupied cells in each column.", "lower"
    ),
    "precision_auc": Metric(
        "Precision, %", "Completed points within 5 to 10 cm of the truth, mean over it.", "higher"
    ),
    "recall_auc": Metric(
        "Recall, %", "True points within 5 to 10 cm of the completion, mean over it.", "higher"
    ),
    "f1_auc": Metric("F-score, %", "Harmonic mean of precision and recall.", "higher"),
    "emd": Metric(
        "EMD, m",
        "Optimal transport of 0.5 m cells: least mean distance between the two clouds.",
        "lower",
    ),
    "emd_coarse": Metric(
        "EMD of 1 m cells, m",
        "Optimal transport of 1 m cells: what moves within one costs nothing.",
        "lower",
    ),
    "emd_gap": Metric("EMD gap, m", "How far the distance above may be too large."),
    "emd_sinkhorn_legacy": Metric(
        "EMD, legacy",
        "What Distillation-DPO publishes; its regularisation makes all voxels equally far.",
    ),
    **{
        f"iou_{size}": Metric(
            f"IoU {size} m", f"Cells of {size} m occupied in both, of those in either.", "higher"
        )
        for size in (0.5, 0.2, 0.1)
    },
    **{
        f"iou_legacy_{size}": Metric(
            f"IoU {size} m, legacy",
            f"As ScoreLiDAR and Distillation-DPO count: within {50.5 * size:.4g} m only.",
        )
        for size in (0.5, 0.2, 0.1)
    },
    "points": Metric("Points", "Points of the completion."),
    "seconds": Metric("Seconds / scene", "Wall-clock time of completing, model loaded.", "lower"),
    "network_calls": Metric("Network calls", "Network evaluations per scene.", "lower"),
    "memory_gb": Metric("Memory, GB", "Most that a shard's process held, or its GPU.", "lower"),
}
_TRANSPORT = "network simplex, column generation"

# Edge of a cell of the bird's eye view, and half the edge of the view; metre.
_CELL, _HALF_EDGE = 0.8, 50.0


def measure(
    samples: Sequence[Sample], scenes: Sequence[SceneSample | None], config: Evaluate, seed: int
) -> Measured:
    """Measure each completion against its scene's ground truth.

    Args:
        samples: Completions, metre.
        scenes: Their scenes, in the same order, with all points; without them there is
            nothing to measure against.
        config: Whether to measure transport.
        seed: Of the intervals over scenes.
    """
    rows = []
    for sample, scene in zip(samples, scenes, strict=True):
        row = {"name": sample.name, "points": len(sample.points)}
        if scene is not None:
            points = sample.points.numpy()
            row |= scene_metrics(points, scene.truth, transport=config.transport)
        rows.append(row)
    table = pd.DataFrame(rows)
    if "finite" not in table:
        return Measured(table, ("points",))
    averaged = [name for name in AVERAGED if name in table]
    emd = [name for name in ("emd", "emd_coarse") if name in table]
    tools = dict.fromkeys(emd, f"{named('pot')} {_TRANSPORT}")
    return Measured(table, ("points", *averaged), set_iou(table, seed), tools)


def quick(samples: Sequence[Sample], requests: Sequence[Request]) -> dict[str, float]:
    """Return measures that choose checkpoints.

    ``quality`` is 1 / (1 + Chamfer distance in metre), and 0 where a scene has no points.
    """
    distances = []
    for sample, request in zip(samples, requests, strict=True):
        usable = len(sample.points) and bool(torch.isfinite(sample.points).all())
        if not usable or request.truth is None:
            distances.append(np.inf)
            continue
        nearest = nearest_distances(sample.points.numpy(), request.truth.numpy())
        distances.append(chamfer(nearest))
    mean = float(np.mean(distances))
    return {"quality": 1 / (1 + mean), "chamfer": mean}


def half_truth(scenes: Mapping[int, SceneSample], seed: int) -> dict[int, Sample]:
    """Return half of each ground truth, drawn at random: nearly what no completion can beat."""
    found = {}
    for number, scene in scenes.items():
        rng = np.random.default_rng([seed, number])
        rows = rng.permutation(len(scene.truth))[: max(1, len(scene.truth) // 2)]
        points = torch.from_numpy(scene.truth[np.sort(rows)].astype(np.float32))
        found[number] = Sample(scene.name, points)
    return found


def gallery(samples: Sequence[Sample]) -> dict[str, Any]:
    """Return point clouds, and bird's eye views of the highest points."""
    scenes, matrices = [], []
    for sample in samples:
        points = sample.points.numpy().astype(float)
        scenes.append(
            {
                "title": sample.name,
                "caption": f"{len(points):,} points",
                "kind": "cloud",
                "points": points[_thinned(len(points))].round(2).tolist(),
                "colour": None,
                "link": None,
            }
        )
        view = _heights(points)
        values = [[None if np.isnan(z) else round(z, 2) for z in row] for row in view.tolist()]
        matrices.append({"title": f"{sample.name} from above: highest point (m)", "values": values})
    return {"scenes": scenes, "matrices": matrices}


# Points of a scene in the report; more make it slow to open.
_SHOWN = 20_000


def _thinned(count: int) -> np.ndarray:
    if count <= _SHOWN:
        return np.arange(count)
    return np.sort(np.random.default_rng(0).permutation(count)[:_SHOWN])


def _heights(points: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "h w"]:
    """Return the largest z of each cell, north (x) up and west (y) left; NaN where none is."""
    count = int(2 * _HALF_EDGE / _CELL)
    cells = np.floor((points[:, :2] + _HALF_EDGE) / _CELL).astype(int)
    inside = ((cells >= 0) & (cells < count)).all(1)
    view = np.full((count, count), -np.inf)
    rows, columns = count - 1 - cells[inside].T
    np.maximum.at(view, (rows, columns), points[inside, 2])
    return np.where(np.isinf(view), np.nan, view)
