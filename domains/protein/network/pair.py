"""The pair representation: the attention bias that is read off it, its updates."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F

from domains.device import waits
from domains.protein.network.config import NetworkConfig
from domains.protein.network.embeddings import time_embedding
from domains.protein.network.features import Inputs, PairFactory
from domains.protein.network.layers import AdaLN, PairBiasAttention, exactly
from domains.protein.network.look_up import product_type
from domains.protein.network.pair_vectors import MASKED, DistinctPairs, EveryPair, PairVectors
from domains.protein.network.triangle import (
    TriangleMultiplication,
    folded,
    pieces,
    standardised,
)

__all__ = ["PairBuilder", "PairUpdate", "bias_of_pairs", "mask_bias"]


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


class PairBuilder(nn.Module):
    """Builds the initial representation of residue pairs."""

    def __init__(self, config: NetworkConfig):
        super().__init__()
        self.init_repr_factory = PairFactory(config)
        self.timed = bool(config.feats_pair_cond)
        if self.timed:
            self.cond_factory = TimeFactory(config)
            self.adaln = AdaLN(config.pair_repr_dim, config.dim_cond)

    def forward(self, inputs: Inputs, registers: int) -> PairVectors:
        """Return the pairs' vectors, modulated by each sample's time."""
        factory, product = self.init_repr_factory, product_type(inputs.mask.device)
        with exactly(inputs.x_t):
            columns, table = factory.columns(inputs), factory.table()
            modulation = self._modulation(inputs) if self.timed else None

        def embed(columns: Tensor, samples: Tensor) -> Tensor:
            with exactly(inputs.x_t):
                vectors = factory.embed(columns, table, product)
                if modulation is None:
                    return vectors
                # Of one sample, or of samples in their order, it is broadcast, not gathered.
                alike = samples[:, :1, :1] if samples.ndim > 1 else samples
                gamma, beta = (each[alike] for each in modulation)
                return torch.addcmul(beta, standardised(vectors), gamma)

        sorts = inputs.mask.device.type == "cpu" and not factory.directed
        kind = DistinctPairs if sorts else EveryPair
        return kind(embed, columns, inputs.mask, registers)

    def _modulation(self, inputs: Inputs) -> tuple[Float[Tensor, "b p"], Float[Tensor, "b p"]]:
        return self.adaln.modulation(standardised(self.cond_factory(inputs)))


def mask_bias(mask: Bool[Tensor, "b n"], dtype: torch.dtype) -> Float[Tensor, "b 1 1 n"]:
    """Return the additive attention mask: 0 for real keys, ``MASKED`` for padding."""
    return torch.zeros(mask.shape, dtype=dtype, device=mask.device).masked_fill(~mask, MASKED)[
        :, None, None
    ]


def _unpadded(mask: Bool[Tensor, "b m"]) -> bool:
    """Return whether a batch is known to have no padding; to ask an accelerator is to wait."""
    return not waits(mask.device) and bool(mask.all())


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
    return list(bias if _unpadded(mask) else bias + mask_bias(mask, bias.dtype))


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
            if not _unpadded(mask):
                real = (mask[:, :, None] & mask[:, None]).flatten().to(z.dtype)
            z = self.tri_mult_in(self.tri_mult_out(z, real), real)
        return self.transition_out(z)
