"""Distances between a completion and its ground truth that training can use.

Correspondence is by nearest neighbour. ScoreLiDAR's released code compares rows with rows,
which have nothing to do with each other.
"""

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy.spatial import KDTree
from torch import Tensor

from domains.batch import Batch
from domains.lidar.data.scene_sample import farthest_points

__all__ = ["chamfer_squared", "chamfer_to", "nearest_rows", "structure"]

# Points whose distances to each other are compared.
_KEY_POINTS = 512


def nearest_rows(points: Float[Tensor, "n 3"], others: Float[Tensor, "m 3"]) -> Int[Tensor, " n"]:
    """Return the row of the nearest other point of each point; no gradient."""
    # NaN is no neighbour of anything, but must reach the loss, which is where it is named.
    ours, theirs = (np.nan_to_num(x.detach().cpu().numpy()) for x in (points, others))
    _, rows = KDTree(theirs).query(ours, workers=1)
    return torch.from_numpy(rows).to(points.device)


def _offsets(
    points: Float[Tensor, "n 3"], truth: Float[Tensor, "m 3"]
) -> tuple[Float[Tensor, "n 3"], Float[Tensor, "m 3"]]:
    """Return each point minus its nearest one of the other cloud, differentiable."""
    forth = points - truth[nearest_rows(points, truth)]
    return forth, truth - points[nearest_rows(truth, points)]


def chamfer_squared(points: Float[Tensor, "n 3"], truth: Float[Tensor, "m 3"]) -> Float[Tensor, ""]:
    """Return mean ‖p − g(p)‖² + mean ‖g − p(g)‖² in square metres, differentiable."""
    forth, back = _offsets(points, truth)
    return forth.square().sum(-1).mean() + back.square().sum(-1).mean()


def chamfer_to(points: Float[Tensor, "b n 3"], batch: Batch) -> Float[Tensor, " b"]:
    """Return the Chamfer distance of each completion to its ground truth, metre; no gradient."""
    assert batch.points is not None
    found = []
    with torch.no_grad():
        for ours, truth in zip(points, batch.points, strict=True):
            forth, back = _offsets(ours, truth)
            found.append((forth.norm(dim=-1).mean() + back.norm(dim=-1).mean()) / 2)
    return torch.stack(found)


def structure(points: Float[Tensor, "b n 3"], batch: Batch) -> dict[str, Tensor]:
    """Return ScoreLiDAR's scene-wise and point-wise errors (arXiv 2412.03515, eqs. 9 and 11).

    "scene" is the squared Chamfer distance, m². "point" compares the distances among key
    points with those among their nearest points of the ground truth, m². Key points are those
    that start at the farthest points of the scan, so that they are spread over the scene.
    """
    assert batch.points is not None
    scene, point = [], []
    scans = batch.condition.get("partial", points if batch.origin is None else batch.origin)
    for ours, truth, scan in zip(points, batch.points, scans, strict=True):
        scene.append(chamfer_squared(ours, truth))
        keys = ours[_key_rows(len(ours), scan)]
        theirs = truth[nearest_rows(keys, truth)]
        point.append((_distances(keys) - _distances(theirs)).square().mean())
    return {"scene": torch.stack(scene).mean(), "point": torch.stack(point).mean()}


def _key_rows(count: int, scan: Float[Tensor, "p 3"]) -> Int[Tensor, " k"]:
    """Return rows of a completion that start far apart; row r starts at row r mod p of the scan.

    Each copy of the scan gives as many.
    """
    places = np.nan_to_num(scan.detach().cpu().numpy().astype(np.float32))
    # In the cloud's order, whatever order they were found in.
    far = farthest_points(places, min(_KEY_POINTS, len(places)))
    rows = torch.from_numpy(np.unique(KDTree(places).query(far, workers=1)[1]))
    copies = max(1, count // len(places))
    return (rows + len(places) * (torch.arange(len(rows)) % copies)).to(scan.device)


def _distances(points: Float[Tensor, "k 3"]) -> Float[Tensor, "k k"]:
    """Return all distances; the gradient of equal points is 0, not NaN."""
    squared = (points[:, None] - points[None]).square().sum(-1)
    return torch.where(squared == 0, 0.0, squared.clamp(min=1e-12).sqrt())
