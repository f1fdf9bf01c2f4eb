"""Cα traces in PDB and mmCIF files: angstrom there, nanometre here."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy.typing import ArrayLike

from domains.errors import FewstepError
from domains.files.provenance import write_text

__all__ = [
    "Chain",
    "chain_breaks",
    "format_mmcif",
    "format_pdb",
    "read_ca",
    "read_chains",
    "write_mmcif",
    "write_pdb",
]

# The twenty of the genetic code, and selenomethionine, which stands in for methionine.
_RESIDUES = (
    "ALA", "ARG", "ASN", "ASP", "CYS", "GLN", "GLU", "GLY", "HIS", "ILE", "LEU",
    "LYS", "MET", "PHE", "PRO", "SER", "THR", "TRP", "TYR", "VAL", "MSE",
)  # fmt: skip
_ANGSTROM = 10  # per nanometre
_FARTHEST = 1e4  # Å, what a PDB file can hold; the largest capsids are a tenth as wide
_PDB_SUFFIXES, _MMCIF_SUFFIXES = (".pdb", ".ent"), (".cif", ".mmcif")
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


@dataclass(frozen=True)
class Chain:
    """Cα atoms of one chain.

    Args:
        name: Chain identifier (the author's, in mmCIF).
        points: Coordinates in nanometre, in file order.
        numbers: Residue numbers as in the file.
    """

    name: str
    points: Float[np.ndarray, "n 3"]
    numbers: Int[np.ndarray, " n"]


def read_ca(path: Path, chain: str | None = None) -> Float[np.ndarray, "n 3"]:
    """Read the Cα trace of one chain.

    Gaps in the trace are kept as they are; ``chain_breaks`` finds them.

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
    the first; residues are the standard twenty and selenomethionine, and those with an insertion
    code count on their own. Others are left out.

    Raises:
        FewstepError: The file is missing, not PDB or mmCIF, cut off within a line, has no Cα
            atoms, or has coordinates that are missing, not finite or too far away.
    """
    atoms = _load_atoms(Path(path))
    atoms = atoms[(atoms.atom_name == "CA") & np.isin(atoms.res_name, _RESIDUES)]
    if len(atoms) == 0:
        raise FewstepError(f"no Cα atoms in {path}", expected="at least one amino acid")
    if not np.isfinite(atoms.coord).all():
        raise FewstepError(f"coordinates that are not finite in {path}")
    if (farthest := float(np.abs(atoms.coord).max())) > _FARTHEST:
        raise FewstepError(
            f"coordinates in {path} are no structure's",
            expected=f"at most {_FARTHEST:g} Å",
            got=f"{farthest:g} Å",
        )
    # A position modelled as two amino acids is one residue: the first one counts.
    seen, rows = set(), {}
    for row, key in enumerate(
        zip(atoms.chain_id.tolist(), atoms.res_id.tolist(), atoms.ins_code.tolist(), strict=True)
    ):
        if key not in seen:
            seen.add(key)
            rows.setdefault(key[0], []).append(row)
    points = atoms.coord.astype(np.float64) / _ANGSTROM
    return {name: Chain(name, points[i], atoms.res_id[i]) for name, i in rows.items()}


def chain_breaks(
    points_nm: Float[np.ndarray, "n 3"], limit_nm: float = 0.4
) -> Bool[np.ndarray, " n"]:
    """Mark residues after which the chain is broken.

    Args:
        points_nm: Cα coordinates in nanometre.
        limit_nm: Longest distance to the next Cα of a whole chain (Proteina's 4 Å).

    Returns:
        True where the next Cα is farther away; the last residue is False.
    """
    points = np.asarray(points_nm, dtype=np.float64)
    steps = np.linalg.norm(np.diff(points, axis=0), axis=-1)
    return np.append(steps > limit_nm, False)[: len(points)]


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


def _load_atoms(path: Path) -> Any:
    """Return the atoms of the first model as a biotite array."""
    # Imported late: only reading needs it, and sampling should start fast.
    from biotite.structure.io import pdb, pdbx

    suffix = path.suffix.lower()
    if suffix not in _PDB_SUFFIXES + _MMCIF_SUFFIXES:
        wanted = ", ".join(_PDB_SUFFIXES + _MMCIF_SUFFIXES)
        raise FewstepError(f"unknown structure format: {path}", expected=wanted, got=repr(suffix))
    if not path.is_file():
        raise FewstepError(f"no structure file {path}", do="Check the path")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an error is one line
            if suffix in _PDB_SUFFIXES:
                return pdb.PDBFile.read(path).get_structure(model=1, altloc="occupancy")
            file = pdbx.CIFFile.read(path)
            _check_coordinates(file.block["atom_site"])
            return pdbx.get_structure(file, model=1, altloc="occupancy")
    except Exception as error:  # A damaged file can raise anything inside a parser.
        raise FewstepError(
            f"can't read {path}", expected="a PDB or mmCIF file", got=str(error)[:200]
        ) from error


def _check_coordinates(table: Any) -> None:
    """Refuse unknown coordinates of an mmCIF file, which biotite reads as 0."""
    for name in ("Cartn_x", "Cartn_y", "Cartn_z"):
        mask = table[name].mask
        if mask is not None and mask.array.any():
            raise ValueError(f"atoms without {name}")
