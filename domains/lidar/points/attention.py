"""Attention of points to their neighbours."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

__all__ = ["HEADS", "NeighbourAttention"]

HEADS = 4


class NeighbourAttention(nn.Module):
    """Each query weighs its neighbours by where they are and what they know.

    Weights and values come of one small network of (offset, distance, neighbour, query), as in
    vector attention (Zhao et al. 2021, Point Transformer), with a weight for each of four heads.

    Args:
        query: Channels of a query.
        neighbour: Channels of a neighbour; 0: it is a bare point.
        channels: Channels that come out, a multiple of 4.
    """

    def __init__(self, query: int, neighbour: int, channels: int):
        super().__init__()
        self.of_query = nn.Linear(query, channels)
        self.of_neighbour = nn.Linear(neighbour, channels, bias=False) if neighbour else None
        self.of_offset = nn.Linear(4, channels, bias=False)
        self.inner = nn.Sequential(nn.SiLU(), nn.Linear(channels, channels), nn.SiLU())
        self.weight = nn.Linear(channels, HEADS)
        self.last = nn.Linear(channels, channels)

    def forward(
        self,
        query: Float[Tensor, "q a"],
        offset: Float[Tensor, "q k 3"],
        neighbour: Float[Tensor, "q k b"] | None,
    ) -> tuple[Float[Tensor, "q c"], Float[Tensor, "q 12"]]:
        """Return features of the queries, and each head's mean offset.

        Args:
            query: What a query knows of itself.
            offset: Neighbour minus query, in the level's unit.
            neighbour: What each neighbour knows; None where it knows nothing.
        """
        placed = torch.cat([offset, torch.linalg.vector_norm(offset, dim=-1, keepdim=True)], -1)
        mixed = self.of_query(query)[:, None] + self.of_offset(placed)
        if self.of_neighbour is not None:
            mixed = mixed + self.of_neighbour(neighbour)
        value = self.inner(mixed)
        weight = self.weight(value).softmax(1)
        mean = torch.einsum("qkh,qkhc->qhc", weight, value.unflatten(-1, (HEADS, -1)))
        place = torch.einsum("qkh,qkx->qhx", weight.to(offset.dtype), offset)
        return self.last(mean.flatten(1)), place.flatten(1)
