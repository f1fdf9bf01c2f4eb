"""Embeddings of time, index, distance and sequence separation (SPEC: bit-compatible)."""

import math
from functools import cache

import torch
from jaxtyping import Float, Int
from torch import Tensor

from domains.device import constant

__all__ = ["distance_bins", "index_embedding", "separation_bins", "time_embedding"]

# Proteina scales t in [0, 1] to [0, 2000], the range its sinusoids are spread over.
_TIME_SCALE = 2000.0
_MAX_INDEX = 2056.0
# The reference values round these frequencies of the public width (256) the other way: a
# slip of one unit in the last place by their machine's exp. True: up, False: down.
_SLIPS = {128: {24: True, 48: False, 70: False}}


@cache
def _frequencies(half: int) -> tuple[float, ...]:
    """Return exp(−k ln 2000 / (half − 1)): float32 values that no machine's exp can change."""
    steps = torch.arange(half, dtype=torch.float32, device="cpu")
    exponent = steps * -(math.log(_TIME_SCALE) / (half - 1))
    values = torch.exp(exponent.double()).float()
    for place, up in _SLIPS.get(half, {}).items():
        values[place] = torch.nextafter(values[place], torch.tensor(math.inf if up else -math.inf))
    return tuple(values.tolist())


def time_embedding(time: Float[Tensor, " b"], dim: int) -> Float[Tensor, "b dim"]:
    """Embed times by sinusoids, always in float32.

    The order of the operations is part of the checkpoint format: t is multiplied by 2000,
    so another association moves the result by 1e-4.

    Args:
        time: Times in [0, 1].
        dim: Width; an odd width ends with a zero.
    """
    frequency = constant(_frequencies(dim // 2), time.device, torch.float32)
    angle = (_TIME_SCALE * time.float())[:, None] * frequency
    parts = [torch.sin(angle), torch.cos(angle)]
    if dim % 2:
        parts.append(torch.zeros_like(angle[:, :1]))
    return torch.cat(parts, -1)


def index_embedding(index: Float[Tensor, "..."], dim: int) -> Float[Tensor, "... dim"]:
    """Embed residue indices (1, 2, …) by sinusoids with periods up to 2056."""
    k = torch.arange(dim // 2, device=index.device, dtype=index.dtype)
    angle = index[..., None] * math.pi / (_MAX_INDEX ** (2 * k / dim))
    return torch.cat([torch.sin(angle), torch.cos(angle)], -1)


def distance_bins(
    points: Float[Tensor, "b n 3"], minimum: float, maximum: float, bins: int
) -> Int[Tensor, "b n n"]:
    """Return the bin of each pairwise distance; bin 0 is d ≤ minimum, the last d > maximum.

    Args:
        points: Coordinates in nm.
        minimum: First boundary in nm.
        maximum: Last boundary in nm.
        bins: Number of bins.
    """
    distance = (points[:, :, None] - points[:, None]).norm(dim=-1)
    boundaries = torch.linspace(minimum, maximum, bins - 1, device=points.device)
    return torch.bucketize(distance, boundaries.to(distance.dtype))


def separation_bins(index: Int[Tensor, "b n"], bins: int) -> Int[Tensor, "b n n"]:
    """Return the bin of each sequence separation (row minus column), clamped at the ends."""
    separation = index[:, :, None] - index[:, None]
    return (separation + (bins - 1) // 2).clamp(0, bins - 1)
