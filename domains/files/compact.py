"""Weights in few bits: integers of 8, or of 4 for the difference from a model beside it.

A matrix of a network needs no 16 bits: rounded to 255 levels of its row's largest value it is off
by some .4 % of its norm. A student differs from its teacher by a few percent, so that 15 levels
of the difference are as exact, at a quarter of the size. Tensors of one dimension, which are
few, are kept in float16.
"""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from domains.errors import FewstepError

__all__ = ["compacted", "expanded"]

_SCALE = ".row_scale"
_SMALLEST = 4096  # values; a smaller tensor is not worth a scale
_LEVELS_ALONE, _LEVELS_BESIDE = 127, 7


def compacted(
    weights: Mapping[str, Tensor], base: Mapping[str, Tensor] | None = None
) -> dict[str, Tensor]:
    """Return tensors that ``expanded`` makes weights of.

    Args:
        weights: Floating-point tensors by name.
        base: Weights of the model they started from, of the same names and shapes; without it
            they are stored in 8 bits, with it their difference in 4.
    """
    stored: dict[str, Tensor] = {}
    for name, value in weights.items():
        if value.ndim < 2 or value.numel() < _SMALLEST:
            stored[name] = value.half() if value.is_floating_point() else value
            continue
        rows = value.float() if base is None else value.float() - base[name].float()
        levels = _LEVELS_ALONE if base is None else _LEVELS_BESIDE
        scale = rows.abs().amax(-1) / levels
        integers = (rows / scale.clamp(min=1e-30)[..., None]).round().to(torch.int8)
        stored[name] = integers if base is None else _packed(integers)
        stored[name + _SCALE] = scale
    return stored


def expanded(
    path: Path, stored: Mapping[str, Tensor], base: Mapping[str, Tensor] | None = None
) -> dict[str, Tensor]:
    """Return the weights in float32 of what ``compacted`` made of them.

    Raises:
        FewstepError: The tensors of ``path`` are no such, or not of this base.
    """
    weights: dict[str, Tensor] = {}
    for name, value in stored.items():
        scale = stored.get(name + _SCALE)
        if name.endswith(_SCALE):
            continue
        if scale is None:
            weights[name] = value.float() if value.is_floating_point() else value
            continue
        beside = None if base is None else base.get(name)
        known = value.dtype == (torch.int8 if base is None else torch.uint8)
        if not known or scale.shape != value.shape[:-1] or not scale.is_floating_point():
            raise FewstepError(f"weight {name[:80]!r} in {path} is in no compact form")
        if base is None:
            weights[name] = value.float() * scale.float()[..., None]
            continue
        width = 0 if beside is None else beside.shape[-1]
        if beside is None or _packed_shape(beside) != value.shape:
            raise FewstepError(f"weight {name[:80]!r} in {path} is not of its base model")
        weights[name] = beside.float() + _unpacked(value, width).float() * scale.float()[..., None]
    return weights


def _packed_shape(value: Tensor) -> torch.Size:
    return torch.Size([*value.shape[:-1], -(-value.shape[-1] // 2)])


def _packed(integers: Tensor) -> Tensor:
    """Put two integers of −7 … 7 into a byte, the first in its upper half."""
    odd = integers.shape[-1] % 2
    shifted = torch.nn.functional.pad(integers + 8, (0, odd)).to(torch.uint8)
    return shifted[..., ::2] << 4 | shifted[..., 1::2]


def _unpacked(packed: Tensor, width: int) -> Tensor:
    """Return the integers of ``_packed``, ``width`` in a row."""
    halves = torch.stack([packed >> 4, packed & 15], -1).flatten(-2)
    return halves[..., :width].to(torch.int8) - 8
