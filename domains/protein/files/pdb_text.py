"""Atoms in the text of a PDB file, also where its lines are shorter than the format's."""

import io
import re
from typing import Any

import numpy as np

from domains.protein.files.residue_names import is_amino_acid

__all__ = ["parse_pdb"]

_ATOM = ("ATOM", "HETATM")
_SHORTEST = 54  # columns: up to the last coordinate
_OCCUPANCY = slice(54, 60)
_USED = 66  # columns that any program fills; what follows may be there or not
# Residue and chain have three columns and one; force fields' names and long chains share a fourth.
_FIRST, _SHARED, _LAST = 17, 20, 22
_LOCATED = slice(12, 27)  # atom, alternate location, residue
_NUMBER = re.compile(r"[+-]?[0-9]*\.?[0-9]*")


def parse_pdb(text: str) -> Any:
    """Return the first model as a biotite array with ``segment``, ``part`` and ``occupancy``.

    A line may end after the coordinates: an occupancy that is not there is 1. Temperature
    factors and charges are not looked at.

    Raises:
        ValueError: A line is cut off or a number can't be read (biotite raises others, too).
    """
    from biotite.structure.io import pdb

    numbered = _first_model(text.split("\n"))
    _check_the_end(text, [line for line, _ in numbered])
    lines = [_completed(line) for line, _ in numbered]
    # An empty model differs from a file without any.
    head = ["MODEL        1"] if re.search("^MODEL", text, re.MULTILINE) else []
    file = pdb.PDBFile.read(io.StringIO("\n".join([*head, *lines])))
    atoms = file.get_structure(model=1, altloc="all", extra_fields=["occupancy"])
    atoms.set_annotation("segment", np.array([line[72:76].strip() for line, _ in numbered], "U4"))
    atoms.set_annotation("part", np.array([part for _, part in numbered], int))
    names, chains = _named([line for line, _ in numbered])
    atoms.res_name, atoms.chain_id = np.array(names, "U5"), np.array(chains, "U4")
    return atoms


def _named(lines: list[str]) -> tuple[list[str], list[str]]:
    """Return the names of each atom's residue and chain.

    Chains have two letters where four would make no residue's name and three do.
    """
    shared = {line[_FIRST : _SHARED + 1] for line in lines if line[_SHARED] != " "}
    parted = any(is_amino_acid(name[:-1]) and not is_amino_acid(name) for name in shared)
    end = _SHARED + (not parted)
    return [line[_FIRST:end].strip() for line in lines], [line[end:_LAST].strip() for line in lines]


def _first_model(lines: list[str]) -> list[tuple[str, int]]:
    """Return the atoms' lines of the first model, and how many chains had ended before each.

    Programs part models by END or ENDMDL, too, without a MODEL; where what follows has other
    atoms, it is no other model but the rest of this one.
    """
    starts = [k for k, line in enumerate(lines) if line.startswith("MODEL")]
    if starts:
        lines = lines[starts[0] : starts[1] if len(starts) > 1 else None]
    frames: list[list[tuple[str, int]]] = [[]]
    part = 0
    for line in lines:
        if line.startswith(_ATOM):
            frames[-1].append((line, part))
        elif line.startswith(("TER", "END")):
            part += 1
            if line.startswith("END") and frames[-1]:
                frames.append([])
    first, *rest = frames
    known = _located(first)
    return first + [entry for frame in rest if _located(frame) != known for entry in frame]


def _located(frame: list[tuple[str, int]]) -> list[str]:
    return [line[_LOCATED] for line, _ in frame]


def _check_the_end(text: str, lines: list[str]) -> None:
    """Refuse a last line that is an atom's, has no end, and has fewer columns than others."""
    last = text.rpartition("\n")[2]
    longest = max((len(line[:_USED].rstrip()) for line in lines), default=0)
    if last.startswith(_ATOM) and len(last) < longest:
        raise ValueError(f"it is cut off within its last line, {last[:30]!r}")


def _completed(line: str) -> str:
    """Return an atom's line of 80 columns with the columns that are read, and nothing else."""
    if len(line.rstrip()) < _SHORTEST:
        raise ValueError(f"a line of an atom is cut off: {line[:30]!r}")
    occupancy = line[_OCCUPANCY]
    if not _NUMBER.fullmatch(occupancy.strip()):
        raise ValueError(f"an occupancy is {occupancy!r}")
    occupancy = occupancy if occupancy.strip() else "  1.00"
    return f"{line[:_SHORTEST]}{occupancy:>6}  0.00{line[66:78]:12}  "
