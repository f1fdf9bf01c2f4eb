"""Triangle multiplication (AlphaFold 2, algorithms 11 and 12), channel-major.

Edges are kept as [channels, b·m·m]: that is what the batched product over m needs and what a
GEMM gives when its operands change places, so nothing is ever transposed in memory. Where no
gradient is kept, edges are handled in pieces that stay in cache and written in place.
"""

from collections.abc import Iterator, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["TriangleMultiplication", "folded", "pieces", "standardised"]

# Edges handled at a time: their working set fits a core's second-level cache. On an
# accelerator pieces only bound the memory.
_EDGES, _EDGES_ACCELERATOR = 512, 65536
# Channels multiplied at a time; each product takes the place of its first factor.
_CHANNELS = 16
# Of every layer norm in the network.
_EPSILON = 1e-5


def pieces(rows: Float[Tensor, "r p"]) -> Iterator[slice]:
    """Cut rows into slices that stay in cache."""
    size = _EDGES if rows.device.type == "cpu" else _EDGES_ACCELERATOR
    for start in range(0, rows.shape[0], size):
        yield slice(start, start + size)


def standardised(rows: Float[Tensor, "... p"]) -> Float[Tensor, "... p"]:
    """Return a layer norm without its affine part."""
    return F.layer_norm(rows, rows.shape[-1:])


def folded(norm: nn.LayerNorm, linears: Sequence[nn.Linear]) -> tuple[Tensor, Tensor]:
    """Return weight and bias of linears behind a norm, as one map of standardised rows."""
    weight = torch.cat([linear.weight for linear in linears])
    bias = torch.cat([linear.bias for linear in linears])
    return weight * norm.weight, weight @ norm.bias + bias


class TriangleMultiplication(nn.Module):
    """Update of every edge from the two other edges of its triangles."""

    def __init__(self, dim: int, hidden: int, outgoing: bool):
        super().__init__()
        self.outgoing, self.hidden = outgoing, hidden
        self.layer_norm_in = nn.LayerNorm(dim)
        self.layer_norm_out = nn.LayerNorm(hidden)
        self.linear_a_p, self.linear_a_g = nn.Linear(dim, hidden), nn.Linear(dim, hidden)
        self.linear_b_p, self.linear_b_g = nn.Linear(dim, hidden), nn.Linear(dim, hidden)
        self.linear_g, self.linear_z = nn.Linear(dim, dim), nn.Linear(hidden, dim)

    def forward(
        self, z: Float[Tensor, "b m m p"], real: Float[Tensor, " r"] | None
    ) -> Float[Tensor, "b m m p"]:
        """Return the edges after the update; ``z`` is overwritten where no gradient is kept.

        Args:
            z: Edges.
            real: 0 where an edge touches padding, over r = b·m·m; None without padding.
        """
        rows = z.flatten(0, 2)
        inward = (self.linear_a_p, self.linear_b_p, self.linear_a_g, self.linear_b_g)
        enter = folded(self.layer_norm_in, inward)
        leave = folded(self.layer_norm_out, [self.linear_z])
        gate = folded(self.layer_norm_in, [self.linear_g])
        if torch.is_grad_enabled():
            standard = standardised(rows)
            a, b = self._sides(standard, enter, real).view(2, -1, *z.shape[1:3])
            product = self._times(a, b).reshape(self.hidden, -1)
            return z + _update(standard, product, leave, gate).view(z.shape)
        sides = rows.new_empty(2 * self.hidden, rows.shape[0])
        for piece in pieces(rows):
            some = None if real is None else real[piece]
            self._sides(standardised(rows[piece]), enter, some, out=sides[:, piece])
        product = self._multiplied(sides, z)
        for piece in pieces(rows):
            edges = rows[piece]
            edges.add_(_update(standardised(edges), product[:, piece], leave, gate))
        return z

    def _sides(
        self,
        standard: Tensor,
        enter: tuple[Tensor, Tensor],
        real: Tensor | None,
        out: Tensor | None = None,
    ) -> Float[Tensor, "c2 r"]:
        """Return both gated projections of the edges, a before b."""
        weight, bias = enter
        value, gate = torch.addmm(bias[:, None], weight, standard.t()).chunk(2)
        gate = torch.sigmoid(gate)
        if real is not None:
            gate = gate * real
        return torch.mul(value, gate, out=out)

    def _times(self, a: Tensor, b: Tensor) -> Tensor:
        """Return Σ_k a_ik b_jk (outgoing) or Σ_k a_ki b_kj (incoming) of every channel."""
        if self.outgoing:
            return torch.bmm(a, b.transpose(1, 2))
        return torch.bmm(a.transpose(1, 2), b)

    def _multiplied(self, sides: Tensor, z: Tensor) -> Float[Tensor, "c r"]:
        """Overwrite a by the product, so that no second array of its size is needed."""
        a, b = sides.view(2, -1, *z.shape[1:3])
        for left, right in zip(a.split(_CHANNELS), b.split(_CHANNELS), strict=True):
            left.copy_(self._times(left, right))
        return sides[: self.hidden]


def _update(
    standard: Tensor, product: Tensor, leave: tuple[Tensor, Tensor], gate: tuple[Tensor, Tensor]
) -> Float[Tensor, "r p"]:
    weight, bias = leave
    centred = product - product.mean(0)
    scale = torch.rsqrt(centred.square().mean(0) + _EPSILON)
    moved = torch.addmm(bias, (centred * scale).t(), weight.t())
    return moved * torch.sigmoid(F.linear(standard, *gate))
