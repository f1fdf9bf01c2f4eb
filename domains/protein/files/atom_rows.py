"""Rows of Cα atoms as a PDB or mmCIF file lists them, alternate locations and all."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from domains.errors import FewstepError
from domains.protein.files.mmcif_text import parse_mmcif
from domains.protein.files.pdb_text import parse_pdb

__all__ = ["AtomRows", "load_atoms"]

_PARSERS: dict[str, Callable[[str], Any]] = {
    ".pdb": parse_pdb,
    ".ent": parse_pdb,
    ".cif": parse_mmcif,
    ".mmcif": parse_mmcif,
}


@dataclass(frozen=True)
class AtomRows:
    """Cα atoms of the first model, in file order.

    Args:
        chains: Chain identifiers (the author's, in mmCIF).
        segments: What else parts chains: segment in PDB, the archive's chain in mmCIF; may be "".
        parts: How many chains had ended before (TER).
        numbers: Residue numbers.
        codes: Insertion codes, "" for none.
        names: Names of the residues.
        locations: Alternate locations, "" for none.
        occupancies: Shares of the molecules that are there; 1 where the file does not say.
        points: Coordinates, Å.
    """

    chains: list[str]
    segments: list[str]
    parts: list[int]
    numbers: Int[np.ndarray, " n"]
    codes: list[str]
    names: list[str]
    locations: list[str]
    occupancies: Float[np.ndarray, " n"]
    points: Float[np.ndarray, "n 3"]

    @property
    def keys(self) -> list[tuple[str, int, str]]:
        """Return chain, number and insertion code of each row."""
        return list(zip(self.chains, self.numbers.tolist(), self.codes, strict=True))

    @classmethod
    def of(cls, atoms: Any) -> "AtomRows":
        """Return the Cα rows of a biotite array with all its alternate locations."""
        atoms = atoms[atoms.atom_name == "CA"]
        blank = {".", "?", " "}
        return cls(
            atoms.chain_id.tolist(),
            atoms.segment.tolist(),
            atoms.part.tolist(),
            atoms.res_id,
            atoms.ins_code.tolist(),
            atoms.res_name.tolist(),
            ["" if mark in blank else mark for mark in atoms.altloc_id.tolist()],
            atoms.occupancy,
            atoms.coord,
        )

    def at(self, keep: Bool[np.ndarray, " n"]) -> "AtomRows":
        """Return the rows where ``keep`` is true."""
        rows = np.flatnonzero(keep)
        lists = {
            key: [getattr(self, key)[row] for row in rows]
            for key in ("chains", "segments", "parts", "codes", "names", "locations")
        }
        arrays = {key: getattr(self, key)[rows] for key in ("numbers", "occupancies", "points")}
        return AtomRows(**lists, **arrays)


def load_atoms(path: Path) -> AtomRows:
    """Read the Cα rows of a file's first model.

    Raises:
        FewstepError: The file is missing, of an unknown suffix, or damaged.
    """
    suffix = path.suffix.lower()
    if suffix not in _PARSERS:
        raise FewstepError(
            f"unknown structure format: {path}", expected=", ".join(_PARSERS), got=repr(suffix)
        )
    if not path.is_file():
        raise FewstepError(f"no structure file {path}", do="Check the path")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an error is one line
            return AtomRows.of(_PARSERS[suffix](path.read_text(encoding="utf-8-sig")))
    except Exception as error:  # A damaged file can raise anything inside a parser.
        got = f"none with {error}" if isinstance(error, KeyError) else str(error)[:200]
        raise FewstepError(
            f"can't read {path}", expected="a PDB or mmCIF file with atoms", got=got
        ) from error
