"""The pair representation: its start, the attention bias that is read off it, its updates."""

from collections.abc import Iterator

import torch
from jaxtyping import Bool, Float
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

__all__ = ["PairBuilder", "PairUpdate", "bias_of_pairs", "mask_bias"]

_CACHED_PAIRS = 4096

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


class PairBuilder(nn.Module):
    """Builds the initial representation of every residue pair."""

    def __init__(self, config: NetworkConfig):
        super().__init__()
        self.init_repr_factory = PairFactory(config)
        self.timed = bool(config.feats_pair_cond)
        if self.timed:
            self.cond_factory = TimeFactory(config)
            self.adaln = AdaLN(config.pair_repr_dim, config.dim_cond)

    def forward(self, inputs: Inputs, registers: int) -> Float[Tensor, "b m m p"]:
        """Return each pair's vector; zero for padding and registers, which come first."""
        mask, around = inputs.mask, (0, 0, registers, 0, registers, 0)
        real = (mask[:, :, None] & mask[:, None])[..., None]
        if torch.is_grad_enabled():
            return F.pad(torch.cat([*self._vectors(inputs)]) * real, around)
        weight, m = self.init_repr_factory.linear_out.weight, mask.shape[1] + registers
        pairs, done = weight.new_zeros(mask.shape[0], m, m, weight.shape[0]), 0
        for vectors in self._vectors(inputs):
            part = slice(done, done := done + len(vectors))
            torch.mul(vectors, real[part], out=pairs[part, registers:, registers:])
        return pairs

    def biases(
        self, inputs: Inputs, registers: int, layers: list[PairBiasAttention]
    ) -> list[Float[Tensor, "b h m m"]]:
        """Return each layer's attention bias, registers and mask included.

        The pairs' vectors are forgotten sample by sample: they would fill the memory.
        """
        weight = torch.cat([layer.bias_weight() for layer in layers])
        b, n = inputs.mask.shape
        parts = (
            (weight @ standardised(vectors).flatten(1, 2).mT).unflatten(-1, (n, n))
            for vectors in self._vectors(inputs)
        )
        bias = _joined(parts, b, registers)
        if not inputs.mask.all():
            padding = ~F.pad(inputs.mask, (registers, 0), value=True)
            bias.masked_fill_(padding[:, None, None], MASKED)
        return list(bias.unflatten(1, (len(layers), -1)).unbind(1))

    def _vectors(self, inputs: Inputs) -> Iterator[Float[Tensor, "s n n p"]]:
        """Embed the pairs of some samples at a time, modulated by each sample's time."""
        with torch.autocast(inputs.x_t.device.type, enabled=False):
            columns = self.init_repr_factory.columns(inputs)
            modulation = self._modulation(inputs) if self.timed else None
            for part in _samples(inputs.mask):
                vectors = self.init_repr_factory.embed(columns[part])
                if modulation is not None:
                    gamma, beta = (each[part, None, None] for each in modulation)
                    vectors = torch.addcmul(beta, standardised(vectors), gamma)
                yield vectors

    def _modulation(self, inputs: Inputs) -> tuple[Float[Tensor, "b p"], Float[Tensor, "b p"]]:
        condition = self.cond_factory(inputs)
        return self.adaln.modulation(standardised(condition))


def _joined(
    parts: Iterator[Float[Tensor, "s k n n"]], count: int, registers: int
) -> Float[Tensor, "b k m m"]:
    """Join the samples' biases and put the registers, which have none, before the residues."""
    if torch.is_grad_enabled():
        return F.pad(torch.cat([*parts]), (registers, 0, registers, 0))
    bias, done = None, 0
    for part in parts:
        if bias is None:
            m = part.shape[-1] + registers
            bias = part.new_zeros(count, part.shape[1], m, m)
        bias[done : done + len(part), :, registers:, registers:] = part
        done += len(part)
    assert bias is not None  # a batch has samples
    return bias


def _samples(mask: Bool[Tensor, "b n"]) -> Iterator[slice]:
    """Cut a batch so that a piece's pairs stay in a CPU's cache; gradients keep them anyway."""
    b, n = mask.shape
    whole = torch.is_grad_enabled() or mask.device.type != "cpu"
    size = b if whole else max(1, _CACHED_PAIRS // max(1, n * n))
    return (slice(start, start + size) for start in range(0, b, max(1, size)))


def mask_bias(mask: Bool[Tensor, "b n"], dtype: torch.dtype) -> Float[Tensor, "b 1 1 n"]:
    """Return the additive attention mask: 0 for real keys, ``MASKED`` for padding."""
    return torch.zeros(mask.shape, dtype=dtype, device=mask.device).masked_fill(~mask, MASKED)[
        :, None, None
    ]


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
