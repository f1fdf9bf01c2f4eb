"""Full backbones: N, C and O rebuilt around a Cα trace by PULCHRA."""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from domains.errors import FewstepError
from domains.files.provenance import atomic_path
from domains.protein.files.structure import format_pdb

if TYPE_CHECKING:
    from biotite.structure import AtomArrayStack

__all__ = ["BACKBONE", "alanines", "rebuild_backbone", "require_pulchra", "write_backbone"]

BACKBONE = "N", "CA", "C", "O"
_REMARK = "REMARK 999 N, C AND O REBUILT BY PULCHRA AROUND GENERATED CA"
_NEAREST, _FARTHEST = 0.2, 0.5  # nm between neighbouring Cα; a peptide bond spans .29 (cis) or .38


def rebuild_backbone(points_nm: ArrayLike) -> Float[np.ndarray, "n 4 3"]:
    """Rebuild the atoms N, CA, C and O of a chain of alanines from its Cα trace.

    By PULCHRA (Rotkiewicz and Skolnick, J. Comput. Chem. 29, 2008), which looks up fragments of
    known structures; the given Cα are kept. The fit of a model, no prediction: on sixty natives
    N and C lie about .3 Å from where they are, O .8 Å.

    Args:
        points_nm: Cα coordinates [n, 3] in nanometre.

    Returns:
        Coordinates in nanometre, atoms in the order of ``BACKBONE``.

    Raises:
        FewstepError: PULCHRA is not installed, or this is no chain of Cα: coordinates that are
            not finite, or neighbours nearer than .2 nm or farther than .5 nm.
    """
    points = np.asarray(points_nm, dtype=np.float64)
    text = format_pdb(points)
    steps = np.linalg.norm(np.diff(points, axis=0), axis=1)
    if ((steps < _NEAREST) | (steps > _FARTHEST)).any():
        worst = int(np.abs(steps - 0.38).argmax())
        raise FewstepError(
            "the chain is broken: its backbone can't be rebuilt",
            expected=f"neighbouring Cα {_NEAREST} to {_FARTHEST} nm apart",
            got=f"{steps[worst]:.3g} nm after residue {worst + 1}",
        )
    backbone = _read(_pulchra(text), len(points))
    backbone[:, 1] = points
    if not np.isfinite(backbone).all():
        raise FewstepError("PULCHRA left out atoms of this chain", got=f"{len(points)} residues")
    return backbone


def alanines(chains: Float[np.ndarray, "k n a 3"], atoms: Sequence[str]) -> AtomArrayStack:
    """Build biotite models of chains of alanines, chain A, residues from 1.

    Args:
        chains: Coordinates in nanometre of k chains of n residues.
        atoms: Names of the a atoms of a residue, such as ``BACKBONE``.
    """
    from biotite.structure import AtomArrayStack

    count, residues, each, _ = chains.shape
    models = AtomArrayStack(count, same := residues * each)
    models.coord = (10 * chains).reshape(count, -1, 3).astype(np.float32)
    models.set_annotation("chain_id", np.array(["A"] * same))
    models.set_annotation("res_name", np.array(["ALA"] * same))
    models.set_annotation("res_id", np.repeat(np.arange(1, residues + 1), each))
    models.set_annotation("atom_name", np.tile(atoms, residues))
    models.set_annotation("element", np.tile([name[0] for name in atoms], residues))
    return models


def write_backbone(path: Path, points_nm: ArrayLike) -> None:
    """Write the rebuilt backbone of a Cα trace as a PDB file, atomically.

    Raises:
        FewstepError: As of ``rebuild_backbone``.
    """
    from biotite.structure.io.pdb import PDBFile

    file = PDBFile()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of annotations that a PDB file may lack
        file.set_structure(alanines(rebuild_backbone(points_nm)[None], BACKBONE)[0])
    with atomic_path(path) as temporary:
        temporary.write_text("\n".join([f"{_REMARK:80}", *file.lines, "END", ""]))


def require_pulchra() -> None:
    """Check that backbones can be rebuilt here.

    Raises:
        FewstepError: PULCHRA is not installed.
    """
    if importlib.util.find_spec("pypulchra") is None:
        raise FewstepError(
            "rebuilding backbones needs PULCHRA", do="pip install pypulchra (extra: backbone)"
        )


def _pulchra(text: str) -> str:
    """Return the PDB file that PULCHRA makes of another."""
    require_pulchra()
    import pypulchra  # type: ignore[import-untyped]

    try:
        return pypulchra.run_from_pdb_str(text).pdb_str
    except ValueError as error:  # of chains such as a straight line
        raise FewstepError("PULCHRA can't rebuild this chain", got=error) from error


def _read(text: str, residues: int) -> Float[np.ndarray, "n 4 3"]:
    """Return the backbone's atoms in nanometre; NaN where one is missing."""
    found = np.full((residues, len(BACKBONE), 3), np.nan)
    for line in text.splitlines():
        name, residue = line[12:16].strip(), line[22:26]
        if line.startswith("ATOM") and name in BACKBONE:
            place = [float(line[start : start + 8]) for start in (30, 38, 46)]
            found[int(residue) - 1, BACKBONE.index(name)] = np.array(place) / 10
    return found
