"""Weights in few bits: integers of 8, or of 4 or 2 for the difference from a model beside it.

A matrix of a network needs no 16 bits: rounded to 255 levels of its row's largest value it is off
by some .4 % of its norm. A student differs from its teacher by a few percent, so that 15 levels
of the difference are as exact, at a quarter of the size. Where it differs by less, four levels
do: steps of .9957 of the row's root mean square, the best of four even ones for normal numbers
(Max 1960, IRE Trans. Inf. Theory 6:7), lose an eighth of the difference's square. Tensors of one
dimension, which are few, are kept in float16.
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
_STEP = 0.9957  # of four levels, in root mean squares


def compacted(
    weights: Mapping[str, Tensor], base: Mapping[str, Tensor] | None = None, bits: int = 4
) -> dict[str, Tensor]:
    """Return tensors that ``expanded`` makes weights of.

    Args:
        weights: Floating-point tensors by name.
        base: Weights of the model they started from, of the same names and shapes; without it
            they are stored in 8 bits, with it their difference in fewer.
        bits: Of the difference: 4 or 2.
    """
    stored: dict[str, Tensor] = {}
    for name, value in weights.items():
        if value.ndim < 2 or value.numel() < _SMALLEST:
            stored[name] = value.half() if value.is_floating_point() else value
            continue
        rows = value.float() if base is None else value.float() - base[name].float()
        if base is not None and bits == 2:
            scale = _STEP * rows.square().mean(-1).sqrt()
            codes = (rows / scale.clamp(min=1e-30)[..., None]).floor().clamp(-2, 1) + 2
            stored[name] = _packed(codes.to(torch.uint8), 2)
        else:
            levels = _LEVELS_ALONE if base is None else _LEVELS_BESIDE
            scale = rows.abs().amax(-1) / levels
            integers = (rows / scale.clamp(min=1e-30)[..., None]).round()
            whole = integers.to(torch.int8)
            stored[name] = whole if base is None else _packed((whole + 8).to(torch.uint8), 4)
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
        bits = None if beside is None else _bits(value, beside)
        if beside is None or bits is None:
            raise FewstepError(f"weight {name[:80]!r} in {path} is not of its base model")
        codes = _unpacked(value, beside.shape[-1], bits).float()
        levels = codes - 8 if bits == 4 else codes - 1.5
        weights[name] = beside.float() + levels * scale.float()[..., None]
    return weights


def _bits(packed: Tensor, value: Tensor) -> int | None:
    """Return the bits that a tensor is packed in, by its shape; None: it is not of ``value``."""
    for bits in (4, 2):
        if packed.shape == torch.Size([*value.shape[:-1], -(-value.shape[-1] // (8 // bits))]):
            return bits
    return None


def _packed(codes: Tensor, bits: int) -> Tensor:
    """Put integers from 0 to 2^bits − 1 into bytes, the first in the upper bits."""
    each = 8 // bits
    padded = torch.nn.functional.pad(codes, (0, -codes.shape[-1] % each))
    parts = padded.unflatten(-1, (-1, each)).unbind(-1)
    found = torch.zeros_like(parts[0])
    for part in parts:
        found = found << bits | part
    return found


def _unpacked(packed: Tensor, width: int, bits: int) -> Tensor:
    """Return the integers of ``_packed``, ``width`` in a row."""
    shifts = range(8 - bits, -1, -bits)
    parts = torch.stack([packed >> shift & (2**bits - 1) for shift in shifts], -1)
    return parts.flatten(-2)[..., :width]
