"""Atoms in the text of an mmCIF file, also where other programs leave columns out."""

import re
from typing import Any

import numpy as np

__all__ = ["parse_mmcif"]

# Columns that every file of the PDB has, and what is meant where a file has none.
_USUAL = {
    "group_PDB": "ATOM",
    "type_symbol": "C",
    "label_alt_id": ".",
    "label_asym_id": "",
    "pdbx_PDB_ins_code": "?",
    "pdbx_PDB_model_num": "1",
    "occupancy": "1.00",
}
_COORDINATES = ("Cartn_x", "Cartn_y", "Cartn_z")
# Each is there twice: as the authors call it, and as the archive does.
_CALLED = ("asym_id", "comp_id", "seq_id", "atom_id")
_DOUBLE = tuple(f"{who}_{name}" for name in _CALLED for who in ("auth", "label"))
_NAMES = {name.lower(): name for name in (*_USUAL, *_COORDINATES, *_DOUBLE)}
_UNKNOWN = (".", "?")
_CATEGORY = re.compile(r"^[ \t]*_atom_site\.", re.IGNORECASE | re.MULTILINE)
_LOOP = re.compile(r"^[ \t]*loop_[ \t]*$", re.IGNORECASE | re.MULTILINE)
_BLOCK = re.compile(r"^[ \t]*data_(\S+)[ \t]*$", re.IGNORECASE | re.MULTILINE)
_ERROR = re.compile(r"\([0-9]+\)$")  # of the last digits: 2.300(5)

Columns = dict[str, np.ndarray]


def parse_mmcif(text: str) -> Any:
    """Return the first model as a biotite array with ``segment``, ``part`` and ``occupancy``.

    Tags may be of any case, numbers may have standard uncertainties, and columns of which the
    usual value is known may be missing; what the authors did not name is called as the archive
    calls it.

    Raises:
        ValueError: Coordinates or residue numbers are unknown (biotite raises others, too).
    """
    from biotite.structure.io import pdbx

    columns = _columns(pdbx.CIFFile.deserialize(_in_usual_case(text)).block["atom_site"])
    _check_coordinates(columns)
    columns = _first_model(_as_called(_completed(columns)))
    block = pdbx.CIFBlock({"atom_site": pdbx.CIFCategory(columns)})
    atoms: Any = pdbx.get_structure(
        block, model=1, altloc="all", extra_fields=["occupancy", "label_asym_id"]
    )
    atoms.set_annotation("segment", atoms.label_asym_id)
    atoms.set_annotation("part", np.zeros(len(atoms), int))
    return atoms


def _in_usual_case(text: str) -> str:
    """Return the text with keywords and tables' names in lower case, as biotite knows them."""
    text = _CATEGORY.sub("_atom_site.", _LOOP.sub("loop_", text))
    if not re.search(r"^data_", text, re.MULTILINE):
        text = _BLOCK.sub(lambda found: f"data_{found[1]}", text)
    return text


def _columns(table: Any) -> Columns:
    """Return the columns that are read, by their usual names."""
    known = {name: _NAMES[name.lower()] for name in table if name.lower() in _NAMES}
    return {usual: table[name].as_array(str) for name, usual in known.items()}


def _check_coordinates(columns: Columns) -> None:
    """Refuse unknown coordinates, which biotite reads as 0."""
    for name in _COORDINATES:
        if np.isin(columns[name], _UNKNOWN).any():
            raise ValueError(f"atoms without {name}")


def _completed(columns: Columns) -> Columns:
    """Return the columns with usual values where there are none, and without uncertainties."""
    count = len(columns[_COORDINATES[0]])
    found = {name: np.full(count, usual) for name, usual in _USUAL.items()} | columns
    for name in ("group_PDB", "pdbx_PDB_model_num", "occupancy"):
        found[name] = np.where(np.isin(found[name], _UNKNOWN), _USUAL[name], found[name])
    for name in (*_COORDINATES, "occupancy"):
        found[name] = np.array([_ERROR.sub("", value) for value in found[name].tolist()])
    return found


def _as_called(columns: Columns) -> Columns:
    """Return the columns with the archive's names where the authors gave none.

    Atoms of ligands that have no residue number are left out.
    """
    for name in _CALLED:
        authors, archives = f"auth_{name}", f"label_{name}"
        if archives in columns:
            other = columns[archives]
            given = columns.get(authors, other)
            columns[authors] = np.where(np.isin(given, _UNKNOWN), other, given)
    numberless = np.isin(columns["auth_seq_id"], _UNKNOWN)
    if (numberless & (columns["group_PDB"] == "ATOM") & (columns["auth_atom_id"] == "CA")).any():
        raise ValueError("residues without a number (auth_seq_id, label_seq_id)")
    return {name: values[~numberless] for name, values in columns.items()}


def _first_model(columns: Columns) -> Columns:
    models = columns["pdbx_PDB_model_num"]
    return {name: values[models == models[:1]] for name, values in columns.items()}
