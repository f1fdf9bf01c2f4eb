"""Chains drawn from a contig: how many residues each of its new parts has."""

import random
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
from jaxtyping import Bool, Int

from domains.errors import FewstepError
from domains.protein.conditions.contig import Contig, Residue, chain_label

__all__ = ["Placement", "draw_placement"]


@dataclass(frozen=True)
class Placement:
    """One drawn chain.

    Args:
        mask: True where a motif residue sits.
        residues: Those of the motif's structure, in the order of ``mask``.
        text: The drawn chain as a contig, motif residues counted from 1 in the new chain.
    """

    mask: Bool[np.ndarray, " n"]
    residues: tuple[Residue, ...]
    text: str

    @property
    def length(self) -> int:
        """Number of residues."""
        return len(self.mask)

    @property
    def indices(self) -> Int[np.ndarray, " m"]:
        """Positions of the motif residues, counted from 1."""
        return np.flatnonzero(self.mask) + 1


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


def _place(contig: Contig, lengths: list[int]) -> Placement:
    mask: list[bool] = []
    texts = []
    for part, length in zip(contig.parts, lengths, strict=True):
        start, end = len(mask) + 1, len(mask) + length
        mask += [part.chain is not None] * length
        if part.chain is None:
            texts.append(str(length))
        else:
            texts.append(f"{chain_label(part.chain)}{start}" + (f"-{end}" if end > start else ""))
    residues = tuple(residue for part in contig.parts for residue in part.residues)
    return Placement(np.array(mask, dtype=bool), residues, "/".join(texts))
