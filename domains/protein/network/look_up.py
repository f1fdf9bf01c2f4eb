"""Sums of a table's rows, with a gradient that sorts nothing."""

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from domains.device import waits

__all__ = ["look_up", "product_type"]

# Hot values of a piece of the gradient's product: 128 MB in bfloat16.
_PIECE = 1 << 26


def product_type(device: torch.device) -> torch.dtype | None:
    """Return the type in which the gradient of ``look_up`` is a product; None: it is looked up.

    A GPU that multiplies bfloat16 makes a million hot vectors and their product in less time than
    it sorts the million's rows, which torch does for the gradient of a look-up.
    """
    if not waits(device) or not torch.is_autocast_enabled(device.type):
        return None
    return torch.get_autocast_dtype(device.type)


def look_up(
    rows: Int[Tensor, "r f"], table: Float[Tensor, "t p"], product: torch.dtype | None = None
) -> Float[Tensor, "r p"]:
    """Return the sum of f rows of a table, r times.

    Args:
        rows: Which rows; those of one sum are distinct.
        table: The table.
        product: Type in which the table's gradient is multiplied; None: it is torch's own.
    """
    if product is None:
        return F.embedding_bag(rows, table, mode="sum")
    return _LookUp.apply(rows, table, product)  # type: ignore[return-value]


class _LookUp(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, rows: Tensor, table: Tensor, product: torch.dtype) -> Tensor:
        ctx.save_for_backward(rows)
        ctx.size, ctx.product = len(table), product
        return F.embedding_bag(rows, table, mode="sum")

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[None, Tensor, None]:
        (rows,) = ctx.saved_tensors
        total = gradient.new_zeros(ctx.size, gradient.shape[1])
        size = max(1, _PIECE // ctx.size)
        for some, part in zip(rows.split(size), gradient.split(size), strict=True):
            hot = torch.zeros(len(some), ctx.size, dtype=ctx.product, device=rows.device)
            hot.scatter_(1, some, 1.0)
            total += hot.t() @ part.to(ctx.product)
        return None, total, None
