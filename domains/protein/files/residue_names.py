"""Names of amino acids in structure files: the twenty, their forms in force fields, modified ones.

Force fields come before the Chemical Component Dictionary, where some of their names mean other
things: its HSE is homoserine, its HIE a drug.
"""

from functools import cache
from typing import Any

__all__ = ["is_amino_acid"]

# The twenty of the genetic code, two that it has at times, two pairs that are not told apart, and
# selenomethionine, which stands in for methionine.
_STANDARD = frozenset((
    "ALA", "ARG", "ASN", "ASP", "CYS", "GLN", "GLU", "GLY", "HIS", "ILE", "LEU", "LYS", "MET",
    "PHE", "PRO", "SER", "THR", "TRP", "TYR", "VAL", "SEC", "PYL", "ASX", "GLX", "MSE",
))  # fmt: skip
# Protonated, bound and terminal forms of Amber, CHARMM, GROMOS, OPLS and Rosetta.
_FORCE_FIELDS = frozenset((
    "HID", "HIE", "HIP", "HIN", "HSD", "HSE", "HSP", "HISA", "HISB", "HISD", "HISE", "HISH",
    "HISP", "HIS1", "HIS2", "CYX", "CYM", "CYN", "CYD", "CYZ", "CYSH", "CYS1", "CYS2", "CYSP",
    "ASH", "AS4", "ASPH", "ASPP", "GLH", "GL4", "GLUH", "GLUP", "LYN", "LYP", "LSN", "LYSH",
    "LYSN", "LYSP", "ARN", "AR0", "ARGN", "TYM", "TYRU",
))  # fmt: skip
_NO_RESIDUES = ("CA", "HOH", "UNK")  # calcium's atom is called CA too
_LETTERS = (1, 2, 3, 5)  # of components


@cache
def is_amino_acid(name: str) -> bool:
    """Tell whether a residue of this name has its Cα in a protein's chain.

    That is so for the standard amino acids and their names in force fields, with a leading N or
    C at a terminus (Amber's NALA), and for what the Chemical Component Dictionary derives from
    one standard amino acid (SEP, TPO, CSO, MLY, …).
    """
    known = _STANDARD | _FORCE_FIELDS
    if name in known or (len(name) == 4 and name[0] in "NC" and name[1:] in known):
        return True
    return name not in _NO_RESIDUES and len(name) in _LETTERS and _parent(name) in _STANDARD


def _parent(name: str) -> str:
    """Return the component that another is made from, by the dictionary; "" if it is unknown."""
    # Imported late: the dictionary takes two seconds and is seldom needed.
    from biotite.structure.info import get_from_ccd

    column: Any = get_from_ccd("chem_comp", name, "mon_nstd_parent_comp_id")
    return "" if column is None else str(column.as_array(str)[0])
