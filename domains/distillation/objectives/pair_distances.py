"""Errors of distances between near points: what rotations, shifts and far parts leave alone."""

from __future__ import annotations

from jaxtyping import Float

from domains.batch import Batch
from domains.errors import FewstepError
from domains.lazy import torch

__all__ = ["pair_distance_error"]

_MOST = 4096  # points
_TINY = 1e-12  # under a root, so that a point's distance to itself has a gradient


def pair_distance_error(
    estimate: Float[torch.Tensor, "b n 3"],
    target: Float[torch.Tensor, "b n 3"],
    batch: Batch,
    radius: float,
    huber: float,
) -> Float[torch.Tensor, " b"]:
    """Compute the mean of sqrt(Δ² + c²) − c over each sample's pairs that are near in ``target``.

    Δ is the difference of a pair's distance in ``estimate`` and in ``target``, in the data's unit;
    the idea is that of AlphaFold 3's smooth lDDT. n² distances are held. Mirror images are alike.

    Args:
        estimate: Points that learn.
        target: Where they should be.
        batch: Tells padding, whose pairs do not count.
        radius: Pairs nearer than this in ``target`` count.
        huber: c; smaller differences count squared.

    Raises:
        FewstepError: There are more points than n² distances could be held of.
    """
    if (count := target.shape[1]) > _MOST:
        raise FewstepError(
            "pair_distances holds the distances of all pairs of a sample",
            expected=f"at most {_MOST} points",
            got=count,
            do="Leave pair_distances out",
        )
    found, aim = (_distances(points.float()) for points in (estimate, target))
    counts = batch.mask[:, :, None] & batch.mask[:, None] & (aim < radius)
    counts = counts & ~torch.eye(aim.shape[1], dtype=torch.bool, device=aim.device)
    error = ((found - aim) ** 2 + huber**2).sqrt() - huber
    return (error * counts).sum((1, 2)) / counts.sum((1, 2)).clamp_min(1)


def _distances(points: Float[torch.Tensor, "b n 3"]) -> Float[torch.Tensor, "b n n"]:
    return ((points[:, :, None] - points[:, None]) ** 2).sum(-1).add(_TINY).sqrt()
