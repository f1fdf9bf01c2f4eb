"""Residues and chains told apart in rows of Cα atoms."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from domains.errors import FewstepError
from domains.protein.files.atom_rows import AtomRows
from domains.protein.files.residue_names import is_amino_acid

__all__ = ["Chain", "part_chains"]

_ANGSTROM = 10  # per nanometre
_FARTHEST = 1e4  # Å, what a PDB file can hold; the largest capsids are a tenth as wide
_APART = 2.5  # Å: the next Cα is not as near, and another guess at the same one no farther

Place = tuple[str, int, str]


@dataclass(frozen=True)
class Chain:
    """Cα atoms of one chain.

    Args:
        name: Chain identifier (the author's, in mmCIF).
        points: Coordinates in nanometre, in file order.
        numbers: Residue numbers as in the file.
        codes: Insertion codes, "" for none.
        others: Names of residues with a Cα that are left out, by number and insertion code.
    """

    name: str
    points: Float[np.ndarray, "n 3"]
    numbers: Int[np.ndarray, " n"]
    codes: tuple[str, ...]
    others: Mapping[tuple[int, str], str] = field(default_factory=dict)

    @property
    def residues(self) -> list[tuple[int, str]]:
        """Return number and insertion code of each residue, in file order."""
        return list(zip(self.numbers.tolist(), self.codes, strict=True))


def part_chains(rows: AtomRows, path: Path) -> dict[str, Chain]:
    """Return the chains of a file.

    Of alternate locations of a residue, wherever in the file they are, the one with the highest
    occupancy counts, of equal ones the first; its place in the chain is that of the first.
    Chains of the same name that differ in their segment are called after the segment.

    Args:
        rows: Cα atoms of the file.
        path: Its path, for messages.

    Raises:
        FewstepError: There are no amino acids, coordinates are not finite or too far away, or
            two chains have the same name and residue numbers.
    """
    known = np.array([is_amino_acid(name) for name in rows.names], dtype=bool)
    chosen, left = rows.at(known), rows.at(~known)
    _check(chosen, left, path)
    places = _residues(chosen)
    if _twice(chosen, places):
        chosen = _by_segment(chosen)
        places = _residues(chosen)
    if place := _twice(chosen, places):
        name, number, code = place
        raise FewstepError(
            f"residue {number}{code} of chain {name!r} comes twice in {path}",
            expected="chains with names, and residues with numbers, of their own",
            do="Give each chain another name",
        )
    return _chains(chosen, places, left)


def _check(rows: AtomRows, left: AtomRows, path: Path) -> None:
    """Refuse rows that are none, or no structure's."""
    if not rows.names:
        raise FewstepError(
            f"no Cα atoms in {path}",
            expected="at least one amino acid",
            got=", ".join(sorted(set(left.names))[:5]) or None,
        )
    if not np.isfinite(rows.points).all():
        raise FewstepError(f"coordinates that are not finite in {path}")
    if (farthest := float(np.abs(rows.points).max())) > _FARTHEST:
        raise FewstepError(
            f"coordinates in {path} are no structure's",
            expected=f"at most {_FARTHEST:g} Å",
            got=f"{farthest:g} Å",
        )


def _residues(rows: AtomRows) -> dict[Place, list[int]]:
    """Return the rows of each residue, in file order."""
    places: dict[Place, list[int]] = defaultdict(list)
    for row, key in enumerate(rows.keys):
        places[key].append(row)
    return places


def _twice(rows: AtomRows, places: Mapping[Place, list[int]]) -> Place | None:
    """Return the first residue whose rows are those of several, or None."""
    for place, found in places.items():
        last: dict[str, int] = {}
        for row in found:
            before = last.get(rows.locations[row])
            if before is not None and not _same(rows, before, row):
                return place
            last[rows.locations[row]] = row
    return None


def _same(rows: AtomRows, one: int, other: int) -> bool:
    """Tell whether rows of one name and location are of one residue: side by side and near."""
    if other != one + 1 or rows.parts[one] != rows.parts[other]:
        return False
    near = float(np.linalg.norm(rows.points[one] - rows.points[other])) <= _APART
    return near and rows.segments[one] == rows.segments[other]


def _by_segment(rows: AtomRows) -> AtomRows:
    """Return the rows with chains that have several segments called after these.

    They stay as they are where a segment has no name, or one that a chain has.
    """
    found: dict[str, set[str]] = defaultdict(set)
    for chain, segment in zip(rows.chains, rows.segments, strict=True):
        found[chain].add(segment)
    parted = {chain for chain, names in found.items() if len(names) > 1}
    named = [segment for chain in parted for segment in found[chain]]
    if not all(named) or len(set(named)) < len(named) or set(named) & (found.keys() - parted):
        return rows
    pairs = zip(rows.chains, rows.segments, strict=True)
    return replace(rows, chains=[segment if name in parted else name for name, segment in pairs])


def _chains(rows: AtomRows, places: Mapping[Place, list[int]], left: AtomRows) -> dict[str, Chain]:
    """Return the chains of residues of which each has been found once."""
    members: dict[str, list[Place]] = defaultdict(list)
    for place in places:
        members[place[0]].append(place)
    points = rows.points.astype(np.float64) / _ANGSTROM
    others = dict(zip(left.keys, left.names, strict=True))
    return {
        name: Chain(
            name,
            points[[_likeliest(rows, places[place]) for place in found]],
            np.array([number for _, number, _ in found], dtype=rows.numbers.dtype),
            tuple(code for _, _, code in found),
            {key[1:]: residue for key, residue in others.items() if key[0] == name},
        )
        for name, found in members.items()
    }


def _likeliest(rows: AtomRows, found: Iterable[int]) -> int:
    """Return the row of the highest occupancy; of equal ones, the first location's."""
    return min(found, key=lambda row: (-rows.occupancies[row], rows.locations[row], row))
