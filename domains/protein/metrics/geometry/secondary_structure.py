"""Secondary structure from Cα positions alone: P-SEA, as biotite implements it."""

import math

import numpy as np
from jaxtyping import Float

from domains.errors import FewstepError
from domains.files.provenance import named
from domains.protein.metrics.geometry.chain import LONGEST_STEP, check_chain, exploded, is_whole

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
        FewstepError: The coordinates are not finite, or the chain has exploded.
    """
    from biotite.structure import AtomArray, annotate_sse

    chain = check_chain(points)
    if exploded(chain):
        raise FewstepError(
            "an exploded chain has no secondary structure",
            expected=f"steps of at most {LONGEST_STEP:g} nm",
            do="Leave the sample out, and count it",
        )
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
    with np.errstate(invalid="ignore"):  # residues in one place have no angles, and are coil
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
    """Return the three shares and ``secondary_structure``; NaN and "" if it isn't whole."""
    letters = assign(points) if is_whole(points) else ""
    return {**fractions(letters), "secondary_structure": letters}
