"""Differentiable errors of a Cα chain that need no ground truth."""

import torch
from jaxtyping import Float
from torch import Tensor

from domains.batch import Batch

__all__ = ["structure_errors"]

# nm: the distance of neighbours in a trans peptide, and the nearest that others come.
_BOND, _CONTACT = 0.38, 0.38


def structure_errors(points: Float[Tensor, "b n 3"], batch: Batch) -> dict[str, Float[Tensor, ""]]:
    """Return mean squared errors in nm², averaged over the batch.

    "scene": of the distances of neighbours from 0.38 nm. "point": of distances of others
    below 0.38 nm, summed over a chain and divided by its length.

    Args:
        points: Cα in nm.
        batch: Whose mask says which residues are real.
    """
    mask = batch.mask
    bonded = (mask[:, 1:] & mask[:, :-1]).float()
    bond = _norm(points[:, 1:] - points[:, :-1]) - _BOND
    scene = (bond.square() * bonded).sum(1) / bonded.sum(1).clamp(min=1)
    n = points.shape[1]
    apart = torch.ones(n, n, device=points.device).triu(2)
    pairs = (mask[:, :, None] & mask[:, None]).float() * apart
    overlap = (_CONTACT - _norm(points[:, :, None] - points[:, None])).clamp(min=0)
    point = (overlap.square() * pairs).sum((1, 2)) / mask.sum(1).clamp(min=1)
    return {"scene": scene.mean(), "point": point.mean()}


def _norm(difference: Tensor) -> Tensor:
    """Return lengths whose gradient is finite at zero."""
    return (difference.square().sum(-1) + 1e-12).sqrt()
