"""The vectors that residue pairs start with: of every pair, or once for all alike.

Where features are few, far pairs of a long chain are alike, and a CPU embeds each kind once and
gathers what follows from it. Where nearly every pair is its own kind (directions, short
chains), and on accelerators, where sorting costs more than it saves, all are embedded.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F

from domains.device import waits
from domains.protein.network.triangle import standardised

__all__ = ["MASKED", "DistinctPairs", "EveryPair", "PairVectors"]

# Added to padded keys: exp underflows to 0 in every dtype, and sums stay finite.
MASKED = -1e30
_ALIGNED = 16  # values; of rows of an attention bias on a GPU
_CACHED_PAIRS = 4096  # of a piece that stays in a CPU's cache

# Pairs' vectors [..., p], given the table rows of their features [..., f] and their samples [...].
Embed = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class PairVectors(ABC):
    """Vectors of all residue pairs of a batch, and what is read off them.

    Attributes:
        embed: Embeds pairs.
        columns: Table rows of each pair's features.
        mask: Real residues.
        registers: Tokens before the residues; their pairs have no vector.
    """

    embed: Embed
    columns: Int[Tensor, "b n n f"]
    mask: Bool[Tensor, "b n"]
    registers: int

    @abstractmethod
    def full(self) -> Float[Tensor, "b m m p"]:
        """Return every pair's vector; zero for padding and registers, which come first."""

    @abstractmethod
    def biases(self, weight: Float[Tensor, "k p"]) -> Float[Tensor, "b k m m"]:
        """Return k attention biases of the standardised vectors, registers and mask included."""

    @property
    def _real(self) -> Bool[Tensor, "b n n"]:
        return self.mask[:, :, None] & self.mask[:, None]


@dataclass(frozen=True)
class DistinctPairs(PairVectors):
    """Each distinct pair is embedded once."""

    def full(self) -> Float[Tensor, "b m m p"]:
        """See ``PairVectors``."""
        vectors, index = self._distinct()
        nothing, r = vectors.shape[0], self.registers
        index = torch.where(self._real, index, nothing)
        return F.embedding(F.pad(index, (r, 0, r, 0), value=nothing), F.pad(vectors, (0, 0, 0, 1)))

    def biases(self, weight: Float[Tensor, "k p"]) -> Float[Tensor, "b k m m"]:
        """See ``PairVectors``."""
        vectors, index = self._distinct()
        table, r = F.linear(standardised(vectors), weight), self.registers
        # Two more rows: register pairs (no bias) and padded keys (never attended).
        table = F.pad(F.pad(table, (0, 0, 0, 1)), (0, 0, 0, 1), value=MASKED)
        rows = vectors.shape[0]
        index = torch.where(self.mask[:, None], index, rows + 1)
        top = F.pad(torch.where(self.mask, rows, rows + 1), (r, 0), value=rows)
        index = torch.cat(
            [top[:, None].expand(-1, r, -1), F.pad(index, (r, 0, 0, 0), value=rows)], 1
        )
        if torch.is_grad_enabled() and table.requires_grad:
            return F.embedding(index, table).permute(0, 3, 1, 2).contiguous()
        gathered = table.t().contiguous().index_select(1, index.flatten())
        return gathered.unflatten(1, index.shape).transpose(0, 1)

    def _distinct(self) -> tuple[Float[Tensor, "r p"], Int[Tensor, "b n n"]]:
        """Return the vector of each distinct pair, and which of them each pair is."""
        samples = torch.arange(len(self.mask), device=self.mask.device)
        radix = int(self.columns.max()) + 1
        code = samples[:, None, None].expand(self.columns.shape[:3])
        for column in self.columns.unbind(-1):
            code = code * radix + column
        distinct, index = torch.unique(code, return_inverse=True)
        columns: list[Tensor] = []
        for _ in range(self.columns.shape[-1]):
            columns.append(distinct % radix)
            distinct = distinct // radix
        return self.embed(torch.stack(columns[::-1], -1), distinct), index


@dataclass(frozen=True)
class EveryPair(PairVectors):
    """Every pair is embedded: on a CPU a sample at a time, which stays in its cache."""

    def full(self) -> Float[Tensor, "b m m p"]:
        """See ``PairVectors``."""
        vectors = torch.cat([*self._pieces()]) * self._real[..., None]
        return F.pad(vectors, (0, 0, self.registers, 0, self.registers, 0))

    def biases(self, weight: Float[Tensor, "k p"]) -> Float[Tensor, "b k m m"]:
        """See ``PairVectors``."""
        (b, n), r, done = self.mask.shape, self.registers, 0
        m, bias = n + r, None
        for vectors in self._pieces():
            part = (weight @ standardised(vectors).flatten(1, 2).mT).unflatten(-1, (n, n))
            if waits(self.mask.device):
                return self._aligned(part)
            if len(part) == b:
                bias = F.pad(part, (r, 0, r, 0))
                break
            if bias is None:
                bias = part.new_zeros(b, part.shape[1], m, m)
            bias[done : done + len(part), :, r:, r:] = part
            done += len(part)
        assert bias is not None  # a batch has samples
        if self.mask.all():
            return bias
        padding = ~F.pad(self.mask, (r, 0), value=True)
        return bias.masked_fill(padding[:, None, None], MASKED)

    def _aligned(self, part: Float[Tensor, "b k n n"]) -> Float[Tensor, "b k m m"]:
        """Return biases whose rows begin at multiples of 16, or attention would copy them.

        They are masked whether there is padding or not: to ask is to wait.
        """
        (_, n), r = self.mask.shape, self.registers
        extra = -(n + r) % _ALIGNED
        bias = F.pad(part, (r, extra, r, 0))
        padding = F.pad(~F.pad(self.mask, (r, 0), value=True), (0, extra), value=True)
        return bias.masked_fill(padding[:, None, None], MASKED)[..., : n + r]

    def _pieces(self) -> Iterator[Float[Tensor, "s n n p"]]:
        """Embed the pairs of all samples, or of some at a time where no gradient keeps them."""
        (b, n), device = self.mask.shape, self.mask.device
        whole = torch.is_grad_enabled() or waits(device)
        size = max(1, b if whole else _CACHED_PAIRS // max(1, n * n))
        samples = torch.arange(b, device=device)[:, None, None].expand(b, n, n)
        for start in range(0, b, size):
            part = slice(start, start + size)
            yield self.embed(self.columns[part], samples[part])
