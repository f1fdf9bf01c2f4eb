"""Contigs: where a motif sits in the chain to be designed, and how long the rest may be.

"10-20/B38/15-30/A14-16" reads: 10 to 20 new residues, residue 38 of chain B, 15 to 30 new
ones, residues 14 to 16 of chain A (RFdiffusion's grammar, as Proteina uses it,
arXiv 2503.00710, motif scaffolding). Beyond that grammar: numbers below zero ("A-5-3"), insertion
codes ("H111A-112"), a chain without a name ("_14"), and, with a colon, any name ("A1:14-16").
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from domains.errors import FewstepError

__all__ = ["Contig", "Part", "Residue", "chain_label", "parse_contig", "readable_contig"]

# Far above any backbone model's reach, so that a typing slip cannot ask for gigabytes.
_LONGEST = 10_000
_MOST_PARTS = 200
_NAMELESS = "_"
_LETTERS = re.compile(r"[A-Za-z]{1,4}", re.ASCII)
_NEW = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?", re.ASCII)
_RESIDUE = r"(-?[0-9]{1,5})([A-Za-z]?)"
_MOTIF = re.compile(
    rf"([A-Za-z]{{1,4}}|{_NAMELESS}|[^\s/:]{{1,16}}:){_RESIDUE}(?:-{_RESIDUE})?", re.ASCII
)


class Residue(NamedTuple):
    """A residue as its structure names it."""

    chain: str
    number: int
    code: str = ""

    def __str__(self) -> str:
        """Return it as it is written in a contig."""
        return f"{chain_label(self.chain)}{self.number}{self.code}"


@dataclass(frozen=True)
class Part:
    """One component: residues ``low`` to ``high`` of a motif chain, or a range of new lengths.

    Args:
        chain: The motif's chain, "" for one without a name; None for new residues.
        low: Number of the first residue; or the shortest length.
        high: Number of the last one; or the longest length.
        codes: Insertion codes of the first and the last residue.
        looked_up: The residues, once they have been looked up in a structure.
    """

    chain: str | None
    low: int
    high: int
    codes: tuple[str, str] = ("", "")
    looked_up: tuple[Residue, ...] = ()

    @property
    def lengths(self) -> tuple[int, int]:
        """Shortest and longest length of this component."""
        if self.chain is None:
            return self.low, self.high
        length = len(self.looked_up) or self.high - self.low + 1
        return length, length

    @property
    def residues(self) -> tuple[Residue, ...]:
        """Its residues: those looked up, else one for each number."""
        if self.chain is None or self.looked_up:
            return self.looked_up
        numbers = range(self.low, self.high + 1)
        ends = {self.high: self.codes[1], self.low: self.codes[0]}
        return tuple(Residue(self.chain, number, ends.get(number, "")) for number in numbers)

    @property
    def first(self) -> Residue:
        """Return the first residue of a part of the motif."""
        return Residue(self.chain or "", self.low, self.codes[0])

    @property
    def last(self) -> Residue:
        """Return the last residue of a part of the motif."""
        return Residue(self.chain or "", self.high, self.codes[1])


@dataclass(frozen=True)
class Contig:
    """Components in chain order.

    Raises:
        FewstepError: A motif residue is there twice, or the chain is empty or far too long.
    """

    parts: tuple[Part, ...]

    def __post_init__(self) -> None:
        low, high = self.lengths
        if high == 0 or high > _LONGEST:
            raise FewstepError(
                "bad contig", expected=f"1 to {_LONGEST} residues", got=f"{low} to {high}"
            )
        if again := _twice(residue for part in self.parts for residue in part.residues):
            raise FewstepError("bad contig", expected="each motif residue once", got=again)

    @property
    def lengths(self) -> tuple[int, int]:
        """Shortest and longest total length."""
        low, high = zip(*(part.lengths for part in self.parts), strict=True)
        return sum(low), sum(high)


def parse_contig(text: str) -> Contig:
    """Parse a contig string.

    Args:
        text: Components joined by "/": a chain starts motif residues (``A14`` or
            ``A14-16``), anything else is a number of new residues (``12`` or ``10-20``).

    Raises:
        FewstepError: A component is not understood, a range runs backwards, a motif residue
            is asked for twice, or the chain would be empty or far too long.
    """
    pieces = text.split("/")
    if len(pieces) > _MOST_PARTS:
        raise FewstepError("bad contig", expected=f"at most {_MOST_PARTS} parts", got=len(pieces))
    return Contig(tuple(_parse_part(piece) for piece in pieces))


def readable_contig(text: str) -> str:
    """Return the text if it is a contig.

    Raises:
        ValueError: As ``parse_contig``.
    """
    try:
        parse_contig(text)
    except FewstepError as error:
        raise ValueError(str(error).rstrip(".")) from error
    return text


def chain_label(name: str) -> str:
    """Format a chain's name as it stands before a residue number: "A", "1:", or "_" if unnamed."""
    return name if _LETTERS.fullmatch(name) else f"{name}:" if name else _NAMELESS


def _twice(residues: Iterable[Residue]) -> Residue | None:
    """Return the first residue that occurs a second time."""
    seen: set[Residue] = set()
    for residue in residues:
        if residue in seen:
            return residue
        seen.add(residue)
    return None


def _parse_part(piece: str) -> Part:
    if match := _NEW.fullmatch(piece):
        part = Part(None, int(match[1]), int(match[2] or match[1]))
    elif match := _MOTIF.fullmatch(piece):
        chain = "" if match[1] == _NAMELESS else match[1].removesuffix(":")
        first, last = (match[2], match[3]), (match[4] or match[2], match[5] or "")
        codes = (first[1], last[1] if match[4] else first[1])
        part = Part(chain, int(first[0]), int(last[0]), codes)
    else:
        raise FewstepError(
            "bad contig part",
            expected="such as 12, 10-20, A14, A14-16, A-5-3, H111A-112, _14 or A1:14-16",
            got=repr(piece)[:40],
        )
    if part.high < part.low:
        raise FewstepError("bad contig part", expected="a rising range", got=repr(piece))
    if part.high - part.low >= _LONGEST:
        raise FewstepError("bad contig part", expected=f"under {_LONGEST} residues", got=piece)
    return part
