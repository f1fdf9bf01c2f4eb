"""Measures of completed scenes, with the tool that computed each."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float

from domains.batch import Request, Sample
from domains.evaluation.statistics.measured import Measured
from domains.files.provenance import named
from domains.lidar.data.scene_sample import SceneSample
from domains.lidar.metrics.distances import chamfer, nearest_distances
from domains.lidar.metrics.scene import AVERAGED, scene_metrics, set_iou
from domains.lidar.settings import LidarEvaluate

__all__ = ["gallery", "half_truth", "measure", "quick"]

# Measure of completions that keep their scan's points, which are no model's merit.
WITH_SCAN = "chamfer_with_scan"
_TRANSPORT = "network simplex, column generation"

# Edge of a cell of the bird's eye view, and half the edge of the view; metre.
_CELL, _HALF_EDGE = 0.8, 50.0


def measure(
    samples: Sequence[Sample],
    scenes: Sequence[SceneSample | None],
    config: LidarEvaluate,
    seed: int,
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
            row[WITH_SCAN] = _with_scan(points, scene)
        rows.append(row)
    table = pd.DataFrame(rows)
    if "finite" not in table:
        return Measured(table, ("points",))
    averaged = [name for name in (*AVERAGED, WITH_SCAN) if name in table]
    emd = [name for name in ("emd", "emd_coarse") if name in table]
    tools = dict.fromkeys(emd, f"{named('pot')} {_TRANSPORT}")
    return Measured(table, ("points", *averaged), set_iou(table, seed), tools)


def _with_scan(points: Float[np.ndarray, "n 3"], scene: SceneSample) -> float:
    """Return the Chamfer distance of the completion and its scan's points together."""
    if not len(points) or not np.isfinite(points).all():
        return math.nan
    return chamfer(nearest_distances(np.concatenate([points, scene.partial]), scene.truth))


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
