"""Cα traces in PDB and mmCIF files: angstrom there, nanometre here."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from domains.errors import FewstepError
from domains.files.provenance import write_text
from domains.protein.files.atom_rows import load_atoms
from domains.protein.files.chains import Chain, part_chains

__all__ = [
    "format_mmcif",
    "format_pdb",
    "read_ca",
    "read_chains",
    "write_mmcif",
    "write_pdb",
]

_ANGSTROM = 10  # per nanometre
_MOST_PDB_RESIDUES = 9999  # four columns for the residue number
_CIF_COLUMNS = (
    "group_PDB",
    "id",
    "type_symbol",
    "label_atom_id",
    "label_alt_id",
    "label_comp_id",
    "label_asym_id",
    "label_entity_id",
    "label_seq_id",
    "pdbx_PDB_ins_code",
    "Cartn_x",
    "Cartn_y",
    "Cartn_z",
    "occupancy",
    "B_iso_or_equiv",
    "auth_seq_id",
    "auth_comp_id",
    "auth_asym_id",
    "auth_atom_id",
    "pdbx_PDB_model_num",
)


def read_ca(path: Path, chain: str | None = None) -> Float[np.ndarray, "n 3"]:
    """Read the Cα trace of one chain.

    Gaps in the trace are kept as they are.

    Args:
        path: PDB (.pdb, .ent) or mmCIF (.cif, .mmcif).
        chain: Which chain; may be left out where the file has only one.

    Returns:
        Coordinates in nanometre.

    Raises:
        FewstepError: As ``read_chains``; or the chain is not there, or must be named.
    """
    chains = read_chains(path)
    if chain is None and len(chains) == 1:
        return next(iter(chains.values())).points
    if chain is None:
        raise FewstepError(
            f"{path} has several chains", got=", ".join(chains), do="Say which chain to read"
        )
    if chain not in chains:
        raise FewstepError(f"no chain {chain!r} in {path}", expected=" or ".join(chains))
    return chains[chain].points


def read_chains(path: Path) -> dict[str, Chain]:
    """Read the Cα traces of all protein chains in the first model.

    Of alternate locations the one with the highest occupancy counts, of a residue given twice
    the first; residues are what ``is_amino_acid`` knows, and those with an insertion code count
    on their own. Others are left out.

    Raises:
        FewstepError: The file is missing, not PDB or mmCIF, cut off within a line, has no Cα
            atoms, has coordinates that are missing, not finite or too far away, or two chains
            that can't be told apart.
    """
    return part_chains(load_atoms(Path(path)), Path(path))


def format_pdb(
    points_nm: ArrayLike,
    *,
    scores: ArrayLike | None = None,
    first_residue: int = 1,
    remarks: Sequence[str] = (),
) -> str:
    """Format a Cα trace as a PDB file of alanines in chain A.

    Unlike the reference program, an atom exactly at the origin is kept.

    Args:
        points_nm: Coordinates [n, 3] in nanometre.
        scores: One number per residue for the temperature-factor column; default 0.
        first_residue: Number of the first residue; 0 gives the reference program's text.
        remarks: Lines before the first.

    Raises:
        FewstepError: A number does not fit its columns or is not finite, or lengths differ.
    """
    points, values = _checked(points_nm, scores)
    last = first_residue + len(points) - 1
    if first_residue < -999 or last > _MOST_PDB_RESIDUES:
        raise FewstepError(
            "residue numbers do not fit a PDB file",
            expected=f"-999 to {_MOST_PDB_RESIDUES}",
            got=f"{first_residue} to {last}",
            do="Write mmCIF instead",
        )
    lines = [*remarks, f"{'MODEL     1':80}"]
    lines += [
        f"ATOM  {i + 1:5}  CA  ALA A{i + first_residue:4}    "
        f"{x:8.3f}{y:8.3f}{z:8.3f}  1.00{value:6.2f}           C  "
        for i, ((x, y, z), value) in enumerate(zip(points, values, strict=True))
    ]
    ending = f"TER   {len(points) + 1:5}      ALA A{last:4}"
    return "\n".join([*lines, f"{ending:80}", f"{'ENDMDL':80}", "END"])


def format_mmcif(
    points_nm: ArrayLike, *, scores: ArrayLike | None = None, first_residue: int = 1
) -> str:
    """Format a Cα trace as an mmCIF file; arguments and errors as in ``format_pdb``."""
    points, values = _checked(points_nm, scores)
    lines = ["data_fewstep", "#", "loop_", *(f"_atom_site.{name}" for name in _CIF_COLUMNS)]
    lines += [
        f"ATOM {i + 1} C CA . ALA A 1 {i + 1} ? {x:.3f} {y:.3f} {z:.3f} 1.00 {value:.2f}"
        f" {i + first_residue} ALA A CA 1"
        for i, ((x, y, z), value) in enumerate(zip(points, values, strict=True))
    ]
    return "\n".join([*lines, "#", ""])


def write_pdb(
    path: Path,
    points_nm: ArrayLike,
    *,
    scores: ArrayLike | None = None,
    first_residue: int = 1,
    remarks: Sequence[str] = (),
) -> None:
    """Write ``format_pdb`` to a file, atomically."""
    text = format_pdb(points_nm, scores=scores, first_residue=first_residue, remarks=remarks)
    write_text(path, text)


def write_mmcif(
    path: Path,
    points_nm: ArrayLike,
    *,
    scores: ArrayLike | None = None,
    first_residue: int = 1,
) -> None:
    """Write ``format_mmcif`` to a file, atomically."""
    write_text(path, format_mmcif(points_nm, scores=scores, first_residue=first_residue))


def _checked(
    points_nm: ArrayLike, scores: ArrayLike | None
) -> tuple[list[list[float]], list[float]]:
    """Return coordinates in angstrom and scores, both within their columns."""
    points = np.asarray(points_nm)
    if points.ndim != 2 or points.shape[1] != 3 or len(points) == 0:
        raise FewstepError("bad Cα trace", expected="shape (n, 3), n > 0", got=points.shape)
    # Multiplied in the given precision, as the reference program does: the text is the same.
    points = points * _ANGSTROM
    # Judged after rounding to three digits: -999.9996 would take a column too many.
    wrong = ~(np.abs(points.astype(np.float64)) < 999.9995).all(axis=1)
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise FewstepError(
            f"coordinates of residue {row} (from 0) can't be written",
            expected="finite, within 1000 Å of the origin",
            got=f"{points[row].tolist()} Å",
        )
    values = np.zeros(len(points)) if scores is None else np.asarray(scores, dtype=np.float64)
    if values.shape != (len(points),) or not ((values > -99.995) & (values < 999.995)).all():
        raise FewstepError(
            "bad scores", expected=f"{len(points)} numbers in -99.99 to 999.99", got=values.shape
        )
    return points.tolist(), values.tolist()
