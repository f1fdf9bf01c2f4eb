"""Sinusoidal embedding of the timestep."""

import math

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

__all__ = ["timestep_embedding"]


def timestep_embedding(timestep: Shaped[Tensor, " b"], channels: int) -> Float[Tensor, "b e"]:
    """Return sin(t f) and cos(t f), f_i = 10000^(-i / (h - 1)), h = channels / 2, in float32.

    Args:
        timestep: Raw step of the noise schedule, 0 to 999.
        channels: Even number of channels, at least 4.
    """
    half = channels // 2
    steps = torch.arange(half, dtype=torch.float32, device=timestep.device)
    angle = timestep.float()[:, None] * torch.exp(steps * (-math.log(10000) / (half - 1)))
    return torch.cat([angle.sin(), angle.cos()], -1)
