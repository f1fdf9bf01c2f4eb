"""Bringing numbers to an accelerator without waiting for it.

An accelerator computes behind the process that tells it what to do. Whoever asks it for a value, or
copies from ordinary memory, waits until it has caught up, and then it stands idle. A CPU computes
at once.
"""

from __future__ import annotations

from functools import cache

from domains.lazy import torch

__all__ = ["constant", "sent", "waits"]


def waits(device: torch.device) -> bool:
    """Return whether asking for a value on ``device`` means waiting, so that other ways are taken.

    Those ways are made for CUDA: they take float64 and fused optimisers, which others may lack.
    """
    return device.type == "cuda"


def sent(values: torch.Tensor, device: torch.device | str) -> torch.Tensor:
    """Return ``values`` on ``device``; to a GPU, from locked memory, without waiting."""
    device = torch.device(device)
    if device.type != "cuda" or values.device.type != "cpu":
        return values.to(device)
    return values.pin_memory().to(device, non_blocking=True)


@cache
def constant(
    values: tuple[float, ...] | tuple[int, ...], device: torch.device, dtype: torch.dtype
) -> torch.Tensor:
    """Return a vector of numbers, made once for each device; nobody may change it."""
    with torch.inference_mode(False):  # else it could not be used in training later
        return torch.tensor(values, dtype=dtype, device=device)
