"""Remarks of a PDB file that say what its sample was asked to be."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from domains.errors import FewstepError
from domains.protein.conditions.folds import condition_of
from domains.protein.conditions.scaffold import Motif

__all__ = ["format_remarks", "read_condition"]

_CATH, _MOTIF = "REMARK  99 CATH ", "REMARK  99 MOTIF "
_ANGSTROM = 10


def format_remarks(condition: Mapping[str, Any]) -> list[str]:
    """Return the lines: fold classes, and residue number and place (Å) of motif residues."""
    lines = [f"{_CATH}{code}" for code in condition.get("cath_code", ())]
    if motif := condition.get("motif"):
        for place, (x, y, z) in zip(motif.positions, motif.points * _ANGSTROM, strict=True):
            lines.append(f"{_MOTIF}{place + 1:5d} {x:9.3f} {y:9.3f} {z:9.3f}")
    return [f"{line:80}" for line in lines]


def read_condition(path: Path) -> dict[str, Any]:
    """Read the condition of a sample from its PDB remarks; empty without any.

    Raises:
        FewstepError: A remark of a motif is damaged.
    """
    codes, rows = [], []
    with path.open(encoding="utf-8", errors="replace") as stream:
        for line in stream:
            if line.startswith(_CATH):
                codes.append(line.removeprefix(_CATH).strip())
            elif line.startswith(_MOTIF):
                rows.append(line.removeprefix(_MOTIF).split())
            else:
                break
    found: dict[str, Any] = condition_of(*codes)
    if rows:
        try:
            values = np.array(rows, dtype=np.float64)
            positions = tuple(int(number) - 1 for number in values[:, 0])
            if values.shape[1] != 4 or not np.isfinite(values).all() or min(positions) < 0:
                raise ValueError("a number is wrong")
        except (ValueError, IndexError) as error:
            raise FewstepError(f"remarks of a motif in {path} are damaged", got=error) from error
        found["motif"] = Motif(positions, values[:, 1:] / _ANGSTROM)
    return found
