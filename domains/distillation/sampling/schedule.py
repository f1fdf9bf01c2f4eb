"""Time grids, the SDE's g(t), and the distributions of training times.

Values follow Proteina (arXiv 2503.00710) to the last float32 bit where a checkpoint's
sampler depends on it: networks multiply t by 2000.
"""

from __future__ import annotations

import math
from typing import Literal

from jaxtyping import Float

from domains.errors import FewstepError
from domains.lazy import torch

__all__ = [
    "Diffusion",
    "Grid",
    "diffusion_coefficient",
    "polish_times",
    "renoise_times",
    "sampling_times",
]

Grid = Literal["log", "uniform", "power", "loglinear", "cos_sch_v_snr", "edm"]
Diffusion = Literal["1/t", "us", "tan"]

# Where re-noising ends.
_LAST_NOISE = 0.01
# SiD_Protein: 400 log-spaced positions, of which a roll-out uses 30 … 400.
_POSITIONS, _FIRST = 400, 30
_ONE_STEP_TIME = 0.37


def log_time(position: torch.Tensor) -> torch.Tensor:
    """Return t = 1 − 10^(−2 s/400), in float32."""
    return 1 - 10 ** (-(position.float() / _POSITIONS) * 2)


def renoise_times(steps: int) -> Float[torch.Tensor, " k"]:
    """Return the times of a K-step re-noising roll-out (arXiv 2510.03095).

    Args:
        steps: K ≥ 1; a single step is taken at t = 0.37.
    """
    if steps < 1:
        raise FewstepError("number of sampling steps", expected="at least 1", got=steps)
    if steps == 1:
        return torch.tensor([_ONE_STEP_TIME])
    return log_time(torch.linspace(_FIRST, _POSITIONS, steps).round())


def polish_times(begin: float, steps: int) -> Float[torch.Tensor, " k"]:
    """Return times of re-noising calls after ``begin``, their noise evenly spaced in its log.

    Args:
        begin: Time in (0, 0.99) where they take over.
        steps: Number of calls, at least 1; the last is at t = 0.99.
    """
    first = math.log10(1 - begin)
    return 1 - torch.logspace(first, math.log10(_LAST_NOISE), steps + 1)[1:]


def _snr_grid(grid: Grid, steps: int, power: float) -> torch.Tensor:
    u = torch.linspace(0, 1, steps + 1)
    if grid == "cos_sch_v_snr":
        eps = 1e-5
        up, down = torch.sin(math.pi * (1 - u) / 2), torch.cos(math.pi * (1 - u) / 2)
        snr = ((down + eps) / (up + eps)) ** power
    elif grid == "loglinear":
        snr = torch.logspace(-6, 6, steps + 1)
    else:
        low, high = 0.002 ** (1 / power), 80 ** (1 / power)
        snr = 1 / (high + u * (low - high)) ** (2 * power)
    root = snr.clamp(1e-10, 1e10).sqrt()
    return root / (1 + root)


def sampling_times(grid: Grid, steps: int, power: float = 2.0) -> Float[torch.Tensor, " k1"]:
    """Return Proteina's steps + 1 times from 0 to 1.

    Args:
        grid: "log" is what Proteina uses (power 2).
        steps: Number of steps, at least 1.
        power: Exponent of log, power, cosine and EDM grids.
    """
    if steps < 1:
        raise FewstepError("number of sampling steps", expected="at least 1", got=steps)
    if grid == "uniform":
        return torch.linspace(0, 1, steps + 1)
    if grid == "power":
        return torch.linspace(0, 1, steps + 1) ** power
    if grid == "log":
        times = 1 - torch.logspace(-power, 0, steps + 1).flip(0)
    else:
        times = _snr_grid(grid, steps, power)
    times = times - times.min()
    return times / times.max()


def diffusion_coefficient(
    times: Float[torch.Tensor, " k"],
    kind: Diffusion = "1/t",
    power: float = 1.0,
    maximum: float | None = None,
) -> Float[torch.Tensor, " k"]:
    """Return g(t) of Proteina's SDE at each step's start.

    Args:
        times: Start times of all steps (with power ≠ 1 the values depend on all of them).
        kind: "1/t" is what Proteina uses.
        power: Sharpens (> 1) or flattens log g around its mean.
        maximum: Upper bound, or None.
    """
    t = times.clamp(0, 1 - 1e-5)
    if kind == "1/t":
        g = 1 / (t + 0.01)
    elif kind == "us":
        g = (1 - t) / (t + 0.01)
    else:
        angle = (1 - t) * math.pi / 2
        g = (math.pi / 2) * torch.sin(angle) / (torch.cos(angle) + 0.01)
    if power != 1.0:
        log_g = torch.log(g)
        mean = log_g.mean()
        squeezed = torch.sigmoid(log_g - mean) ** power
        g = torch.exp(torch.logit(squeezed, eps=1e-6) + mean)
    return g.clamp(0, maximum) if maximum is not None else g
