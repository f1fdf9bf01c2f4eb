"""The sparse convolution: gather, multiply, add; its buffers are bounded, also in backward."""

from collections.abc import Iterator
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.autograd.function import once_differentiable

from domains.device import waits
from domains.lidar.sparse.kernel_map import KernelMap

__all__ = ["convolve"]

# Values per gathered buffer (1 MB in float32): stays in a CPU's cache, and too small for the
# allocator to give it back to the system each time.
_BUFFER = 1 << 18
# On accelerators (256 MB): thousands of small kernels take longer than what they compute.
_LARGE_BUFFER = 1 << 26


def convolve(
    features: Float[Tensor, "s c"], kernel: Float[Tensor, "k c d"], kernel_map: KernelMap
) -> Float[Tensor, "t d"]:
    """Return y[t] = Σ_k Σ_{(s, t) in pairs(k)} x[s] W[k] (Choy et al. 2019, eq. 3).

    Args:
        features: One row per source voxel.
        kernel: One matrix per offset, in the order of the map.
        kernel_map: Pairs of rows.

    Under autocast, products are of its type, and sums over offsets in float32.
    """
    kind = features.device.type
    if torch.is_autocast_enabled(kind):
        features, kernel = (part.to(torch.get_autocast_dtype(kind)) for part in (features, kernel))
    with torch.autocast(kind, enabled=False):
        return _Convolution.apply(features, kernel, kernel_map)  # type: ignore[return-value]


class _Convolution(torch.autograd.Function):
    """Keeps only what autograd must have; pairs are gathered again in backward."""

    @staticmethod
    def forward(ctx: Any, features: Tensor, kernel: Tensor, kernel_map: KernelMap) -> Tensor:
        ctx.save_for_backward(features, kernel)
        ctx.kernel_map = kernel_map
        return _forward(features, kernel, kernel_map)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        features, kernel = ctx.saved_tensors
        grad = grad.to(features.dtype)
        backwards = ctx.kernel_map.transposed()
        to_features, to_kernel, _ = ctx.needs_input_grad
        return (
            _forward(grad, kernel.transpose(1, 2), backwards) if to_features else None,
            _kernel_gradient(features, grad, ctx.kernel_map) if to_kernel else None,
            None,
        )


def _forward(features: Tensor, kernel: Tensor, kernel_map: KernelMap) -> Tensor:
    width, exact = max(kernel.shape[1:]), _summed(features.dtype)
    if None in kernel_map.pairs:
        out = (features @ kernel[kernel_map.pairs.index(None)]).to(exact)
    else:
        out = features.new_zeros(kernel_map.targets, kernel.shape[2], dtype=exact)
    for weight, pairs in zip(kernel, kernel_map.pairs, strict=True):
        for source, target in _pieces(pairs, width):
            product = features.index_select(0, source) @ weight
            out.index_add_(0, target, product.to(exact))
    return out


def _summed(dtype: torch.dtype) -> torch.dtype:
    """Return the type that products of a type are summed in."""
    return torch.float32 if dtype in (torch.bfloat16, torch.float16) else dtype


def _kernel_gradient(features: Tensor, grad: Tensor, kernel_map: KernelMap) -> Tensor:
    width = max(features.shape[1], grad.shape[1])
    exact = _summed(features.dtype)
    out = features.new_zeros(len(kernel_map.pairs), features.shape[1], grad.shape[1], dtype=exact)
    for one, pairs in zip(out, kernel_map.pairs, strict=True):
        if pairs is None:
            one.copy_(features.t() @ grad)
        for source, target in _pieces(pairs, width):
            before, after = features.index_select(0, source).t(), grad.index_select(0, target)
            if exact == features.dtype:
                one.addmm_(before, after)
            else:
                one += before @ after
    return out


def _pieces(
    pairs: tuple[Int[Tensor, " p"], Int[Tensor, " p"]] | None, width: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the pairs in pieces whose gathered rows of ``width`` values fill one buffer."""
    if pairs is not None:
        most = _LARGE_BUFFER if waits(pairs[0].device) else _BUFFER
        rows = max(1, most // width)
        yield from zip(*(part.split(rows) for part in pairs), strict=True)
