"""Secondary structure from Cα positions alone: P-SEA, as biotite implements it."""

import math

import numpy as np
from jaxtyping import Float

from domains.files.provenance import named
from domains.protein.metrics.geometry.chain import check_chain

__all__ = ["assign", "describe", "fractions", "tool"]

_NAMES = {"a": "helix", "b": "strand", "c": "coil"}


def assign(points: Float[np.ndarray, "n 3"]) -> str:
    """Return one letter per residue: ``a`` helix, ``b`` strand, ``c`` coil.

    P-SEA (Labesse et al. 1997) goes by Cα distances or by angles, so a mirrored helix is
    still a helix here: read this beside ``geometry.handedness``. It sees no hydrogen bonds
    and marks less than DSSP does. Chains of up to five residues are coil.

    Args:
        points: Cα coordinates [n, 3] of one unbroken chain, nanometre.

    Raises:
        FewstepError: The coordinates are not finite.
    """
    from biotite.structure import AtomArray, annotate_sse

    chain = check_chain(points)
    atoms = AtomArray(len(chain))
    atoms.coord = (chain * 10.0).astype(np.float32)  # biotite works in angstrom
    annotations = {
        "chain_id": "A",
        "res_id": np.arange(1, len(chain) + 1),
        "res_name": "GLY",  # any amino acid: P-SEA reads no side chain
        "atom_name": "CA",
        "element": "C",
    }
    for name, values in annotations.items():
        atoms.set_annotation(name, np.broadcast_to(values, len(chain)))
    return "".join(annotate_sse(atoms))


def fractions(letters: str) -> dict[str, float]:
    """Return the shares ``helix``, ``strand`` and ``coil`` of a string from ``assign``."""
    return {
        name: letters.count(letter) / len(letters) if letters else math.nan
        for letter, name in _NAMES.items()
    }


def tool() -> str:
    """Return the program that assigns, for the ``tool`` column."""
    return f"{named('biotite')} P-SEA"


def describe(points: Float[np.ndarray, "n 3"]) -> dict[str, float | str]:
    """Return the three shares and ``secondary_structure``; NaN and "" when not finite."""
    letters = assign(points) if np.isfinite(points).all() else ""
    return {**fractions(letters), "secondary_structure": letters}
