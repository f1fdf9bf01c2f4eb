"""Contigs: where a motif sits in the chain to be designed, and how long the rest may be.

"10-20/B38/15-30/A14-16" reads: 10 to 20 new residues, residue 38 of chain B, 15 to 30 new
ones, residues 14 to 16 of chain A (RFdiffusion's grammar, as Proteina uses it,
arXiv 2503.00710, motif scaffolding).
"""

import random
import re
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
from jaxtyping import Bool, Int

from domains.errors import FewstepError

__all__ = ["Contig", "Part", "Placement", "draw_placement", "parse_contig"]

# Far above any backbone model's reach, so that a typing slip cannot ask for gigabytes.
_LONGEST = 10_000
_MOST_PARTS = 200
_PART = re.compile(r"([A-Za-z]?)([0-9]{1,5})(?:-([0-9]{1,5}))?", re.ASCII)


@dataclass(frozen=True)
class Part:
    """One component: residues ``low`` to ``high`` of a motif chain, or a range of new lengths."""

    chain: str | None
    low: int
    high: int

    @property
    def lengths(self) -> tuple[int, int]:
        """Shortest and longest length of this component."""
        if self.chain is None:
            return self.low, self.high
        length = self.high - self.low + 1
        return length, length


@dataclass(frozen=True)
class Contig:
    """Components in chain order."""

    parts: tuple[Part, ...]

    @property
    def lengths(self) -> tuple[int, int]:
        """Shortest and longest total length."""
        low, high = zip(*(part.lengths for part in self.parts), strict=True)
        return sum(low), sum(high)


@dataclass(frozen=True)
class Placement:
    """One drawn chain.

    Args:
        mask: True where a motif residue sits.
        residues: Chain and residue number in the motif's structure, in the order of ``mask``.
        text: The drawn chain as a contig, motif residues counted from 1 in the new chain.
    """

    mask: Bool[np.ndarray, " n"]
    residues: tuple[tuple[str, int], ...]
    text: str

    @property
    def length(self) -> int:
        """Number of residues."""
        return len(self.mask)

    @property
    def indices(self) -> Int[np.ndarray, " m"]:
        """Positions of the motif residues, counted from 1."""
        return np.flatnonzero(self.mask) + 1


def parse_contig(text: str) -> Contig:
    """Parse a contig string.

    Args:
        text: Components joined by "/": a letter starts motif residues (``A14`` or
            ``A14-16``), anything else is a number of new residues (``12`` or ``10-20``).

    Raises:
        FewstepError: A component is not understood, a range runs backwards, a motif residue
            is asked for twice, or the chain would be empty or far too long.
    """
    pieces = text.split("/")
    if len(pieces) > _MOST_PARTS:
        raise FewstepError("bad contig", expected=f"at most {_MOST_PARTS} parts", got=len(pieces))
    contig = Contig(tuple(_parse_part(piece) for piece in pieces))
    low, high = contig.lengths
    if high == 0 or high > _LONGEST:
        raise FewstepError(
            "bad contig", expected=f"1 to {_LONGEST} residues", got=f"{low} to {high}"
        )
    residues = [pair for part in contig.parts for pair in _residues(part)]
    if len(set(residues)) != len(residues):
        chain, number = next(pair for pair in residues if residues.count(pair) > 1)
        raise FewstepError("bad contig", expected="each motif residue once", got=f"{chain}{number}")
    return contig


def draw_placement(
    contig: Contig,
    rng: random.Random,
    *,
    min_length: int | None = None,
    max_length: int | None = None,
) -> Placement:
    """Draw lengths of the new parts, all allowed combinations being equally likely.

    The combinations are counted, not listed (there can be 10^20 of them); the draw equals
    ``rng.choice`` from their list in lexicographic order.

    Args:
        contig: A parsed contig.
        rng: Source of randomness, used for one draw.
        min_length: Shortest total length; default the contig's own.
        max_length: Longest total length; default the contig's own.

    Raises:
        FewstepError: No combination has an allowed total length.
    """
    shortest, longest = contig.lengths
    low = max(shortest if min_length is None else min_length, 0)
    high = min(longest if max_length is None else max_length, longest)
    ways = _completions(contig, low, high)
    if not ways[0][0]:
        raise FewstepError(
            "no chain fits the contig",
            expected=f"a total length within {min_length} to {max_length}",
            got=f"{shortest} to {longest}",
            do="Widen min_length and max_length or the scaffold ranges",
        )
    rank, used, lengths = rng.randrange(ways[0][0]), 0, []
    for part, after in zip(contig.parts, ways[1:], strict=True):
        length = part.lengths[0]
        while rank >= after[used + length]:
            rank -= after[used + length]
            length += 1
        used += length
        lengths.append(length)
    return _place(contig, lengths)


def _completions(contig: Contig, low: int, high: int) -> list[list[int]]:
    """Count, for each part and residues used so far, the ways to finish within low to high."""
    size = contig.lengths[1] + 1
    ways = [[int(low <= used <= high) for used in range(size)]]
    for part in reversed(contig.parts):
        first, last = part.lengths
        sums = list(accumulate(ways[0], initial=0))
        ways.insert(
            0,
            [sums[min(u + last + 1, size)] - sums[min(u + first, size)] for u in range(size)],
        )
    return ways


def _parse_part(piece: str) -> Part:
    match = _PART.fullmatch(piece)
    if match is None:
        raise FewstepError(
            "bad contig part", expected="such as 12, 10-20, A14 or A14-16", got=repr(piece)[:40]
        )
    chain, low, high = match[1] or None, int(match[2]), int(match[3] or match[2])
    if high < low:
        raise FewstepError("bad contig part", expected="a rising range", got=repr(piece))
    if high - low >= _LONGEST:
        raise FewstepError("bad contig part", expected=f"under {_LONGEST} residues", got=piece)
    return Part(chain, low, high)


def _residues(part: Part) -> list[tuple[str, int]]:
    if part.chain is None:
        return []
    return [(part.chain, number) for number in range(part.low, part.high + 1)]


def _place(contig: Contig, lengths: list[int]) -> Placement:
    mask: list[bool] = []
    texts = []
    for part, length in zip(contig.parts, lengths, strict=True):
        start, end = len(mask) + 1, len(mask) + length
        mask += [part.chain is not None] * length
        if part.chain is None:
            texts.append(str(length))
        else:
            texts.append(f"{part.chain}{start}" + (f"-{end}" if end > start else ""))
    residues = tuple(pair for part in contig.parts for pair in _residues(part))
    return Placement(np.array(mask, dtype=bool), residues, "/".join(texts))
