"""The pair representation: attention bias by distinct codes, and its updates.

Without pair updates the bias of a pair is a function of its integer code alone, so it is
computed once per distinct code and gathered straight into [heads, n, n].
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from domains.protein.network.config import NetworkConfig
from domains.protein.network.embeddings import time_embedding
from domains.protein.network.features import Inputs, PairFactory
from domains.protein.network.layers import AdaLN, PairBiasAttention
from domains.protein.network.triangle import (
    TriangleMultiplication,
    folded,
    pieces,
    standardised,
)

__all__ = ["DistinctPairs", "PairBuilder", "PairUpdate", "bias_of_pairs", "mask_bias"]

# Added to padded keys: exp underflows to 0 in every dtype, and sums stay finite.
MASKED = -1e30


class TimeFactory(nn.Module):
    """Conditioning of the pair representation: time only."""

    def __init__(self, config: NetworkConfig):
        super().__init__()
        self.dim = config.t_emb_dim
        self.linear_out = nn.Linear(config.t_emb_dim, config.dim_cond, bias=False)
        self.ln_out = nn.LayerNorm(config.dim_cond)

    def forward(self, inputs: Inputs) -> Float[Tensor, "b c"]:
        """Return one vector per sample."""
        embedded = time_embedding(inputs.t, self.dim).to(self.linear_out.weight.dtype)
        return self.ln_out(self.linear_out(embedded))


@dataclass(frozen=True)
class DistinctPairs:
    """Embedded distinct pairs and where they go.

    Attributes:
        vectors: One vector per distinct (sample, code).
        index: Row of ``vectors`` of each residue pair.
    """

    vectors: Float[Tensor, "r p"]
    index: Int[Tensor, "b n n"]

    def full(self, mask: Bool[Tensor, "b n"], registers: int) -> Float[Tensor, "b m m p"]:
        """Return every pair's vector; zero for padding and registers, which come first."""
        nothing = self.vectors.shape[0]
        real = mask[:, :, None] & mask[:, None]
        index = torch.where(real, self.index, nothing)
        index = F.pad(index, (registers, 0, registers, 0), value=nothing)
        return F.embedding(index, F.pad(self.vectors, (0, 0, 0, 1)))


class PairBuilder(nn.Module):
    """Builds the initial pair representation for each distinct code."""

    def __init__(self, config: NetworkConfig):
        super().__init__()
        self.init_repr_factory = PairFactory(config)
        self.timed = bool(config.feats_pair_cond)
        if self.timed:
            self.cond_factory = TimeFactory(config)
            self.adaln = AdaLN(config.pair_repr_dim, config.dim_cond)

    def forward(self, inputs: Inputs) -> DistinctPairs:
        """Embed the distinct pairs of a batch, modulated by each sample's time."""
        factory = self.init_repr_factory
        columns, sizes = factory.codes(inputs)
        sample = torch.arange(inputs.t.shape[0], device=inputs.t.device)
        code = sample[:, None, None].expand(-1, *inputs.mask.shape[1:] * 2)
        for column, size in zip(columns, sizes, strict=True):
            if column is not None:
                code = code * size + column
        distinct, index = torch.unique(code, return_inverse=True)
        rows: list[Tensor | None] = []
        for column, size in zip(reversed(columns), reversed(sizes), strict=True):
            rows.append(None if column is None else distinct % size)
            distinct = distinct if column is None else distinct // size
        vectors = factory.embed(rows[::-1])
        return DistinctPairs(self._modulate(vectors, distinct, inputs), index)

    def _modulate(self, vectors: Tensor, sample: Tensor, inputs: Inputs) -> Tensor:
        if not self.timed:
            return vectors
        condition = self.cond_factory(inputs)
        gamma, beta = self.adaln.modulation(F.layer_norm(condition, condition.shape[-1:]))
        normed = F.layer_norm(vectors, vectors.shape[-1:])
        return torch.addcmul(beta[sample], normed, gamma[sample])


def mask_bias(mask: Bool[Tensor, "b n"], dtype: torch.dtype) -> Float[Tensor, "b 1 1 n"]:
    """Return the additive attention mask: 0 for real keys, ``MASKED`` for padding."""
    return torch.zeros(mask.shape, dtype=dtype, device=mask.device).masked_fill(~mask, MASKED)[
        :, None, None
    ]


def bias_of_codes(
    pairs: DistinctPairs,
    mask: Bool[Tensor, "b n"],
    registers: int,
    layers: list[PairBiasAttention],
) -> list[Float[Tensor, "b h m m"]]:
    """Return each layer's attention bias from distinct pairs, registers and mask included."""
    standard = F.layer_norm(pairs.vectors, pairs.vectors.shape[-1:])
    weight = torch.cat([layer.bias_weight() for layer in layers])
    table = F.linear(standard, weight)
    # Two more rows: register pairs (no bias) and padded keys (never attended).
    table = F.pad(F.pad(table, (0, 0, 0, 1)), (0, 0, 0, 1), value=MASKED)
    rows = pairs.vectors.shape[0]
    index = torch.where(mask[:, None], pairs.index, rows + 1)
    index = F.pad(index, (registers, 0, 0, 0), value=rows)
    top = F.pad(torch.where(mask, rows, rows + 1), (registers, 0), value=rows)
    index = torch.cat([top[:, None].expand(-1, registers, -1), index], 1)
    b, m, _ = index.shape
    heads = layers[0].heads
    if torch.is_grad_enabled() and table.requires_grad:
        gathered = F.embedding(index, table).permute(3, 0, 1, 2).contiguous()
    else:
        gathered = table.t().contiguous().index_select(1, index.flatten())
    return list(gathered.view(len(layers), heads, b, m, m).transpose(1, 2))


def bias_of_pairs(
    pair: Float[Tensor, "b m m p"],
    mask: Bool[Tensor, "b m"],
    layers: list[PairBiasAttention],
) -> list[Float[Tensor, "b h m m"]]:
    """Return each layer's attention bias from a full pair representation."""
    weight = torch.cat([layer.bias_weight() for layer in layers])
    rows = pair.flatten(0, 2)
    if torch.is_grad_enabled():
        bias = weight @ standardised(rows).t()
    else:
        bias = rows.new_empty(weight.shape[0], rows.shape[0])
        for piece in pieces(rows):
            bias[:, piece] = weight @ standardised(rows[piece]).t()
    b, m = mask.shape
    bias = bias.view(len(layers), layers[0].heads, b, m, m).transpose(1, 2)
    return list(bias if mask.all() else bias + mask_bias(mask, bias.dtype))


class PairTransition(nn.Module):
    """Feed-forward of the pair representation."""

    def __init__(self, dim: int):
        super().__init__()
        self.layer_norm = nn.LayerNorm(dim)
        self.linear_1, self.linear_2 = nn.Linear(dim, 2 * dim), nn.Linear(2 * dim, dim)

    def forward(self, z: Float[Tensor, "b m m p"]) -> Float[Tensor, "b m m p"]:
        """Return the pairs after the update; ``z`` is overwritten where no gradient is kept."""
        rows = z.flatten(0, 2)
        enter = folded(self.layer_norm, [self.linear_1])
        if torch.is_grad_enabled():
            return z + self._update(rows, enter).view(z.shape)
        for piece in pieces(rows):
            some = rows[piece]
            some.add_(self._update(some, enter))
        return z

    def _update(self, rows: Tensor, enter: tuple[Tensor, Tensor]) -> Tensor:
        return self.linear_2(F.relu(F.linear(standardised(rows), *enter)))


class PairUpdate(nn.Module):
    """Update pairs from tokens, then (optionally) along triangles.

    What padded pairs hold cannot reach real ones: padded keys are never attended to, and
    triangles leave them out.
    """

    def __init__(self, config: NetworkConfig):
        super().__init__()
        dim = config.pair_repr_dim
        hidden = min(dim, 196)  # Proteina's cap on the triangle's channels
        self.layer_norm_in = nn.LayerNorm(config.token_dim)
        self.linear_x = nn.Linear(config.token_dim, 2 * dim, bias=False)
        self.triangles = config.use_tri_mult
        if self.triangles:
            self.tri_mult_out = TriangleMultiplication(dim, hidden, outgoing=True)
            self.tri_mult_in = TriangleMultiplication(dim, hidden, outgoing=False)
        self.transition_out = PairTransition(dim)

    def forward(
        self,
        x: Float[Tensor, "b m d"],
        z: Float[Tensor, "b m m p"],
        mask: Bool[Tensor, "b m"],
    ) -> Float[Tensor, "b m m p"]:
        """Return the updated pairs; ``z`` is overwritten where no gradient is kept."""
        column, row = self.linear_x(self.layer_norm_in(x)).chunk(2, -1)
        if torch.is_grad_enabled():
            z = z + column[:, None] + row[:, :, None]
        else:
            for i in range(z.shape[1]):
                z[:, i].add_(column + row[:, i, None])
        if self.triangles:
            real = None
            if not mask.all():
                real = (mask[:, :, None] & mask[:, None]).flatten().to(z.dtype)
            z = self.tri_mult_in(self.tri_mult_out(z, real), real)
        return self.transition_out(z)
