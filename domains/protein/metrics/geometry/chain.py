"""Local and global geometry of one Cα chain: bonds, clashes, compactness, handedness.

Every function takes finite coordinates in nanometre and refuses others; only ``describe``
accepts a broken chain, and then answers ``finite`` 0 and NaN for all the rest.
"""

import math

import numpy as np
from jaxtyping import Float
from scipy.spatial import KDTree

from domains.errors import FewstepError

__all__ = [
    "LONGEST_STEP",
    "bond_fraction",
    "check_chain",
    "clashes",
    "describe",
    "dihedrals",
    "exploded",
    "handedness",
    "is_whole",
    "radius_of_gyration",
    "rg_ratio",
]

# A trans peptide holds neighbouring Cα at 0.380 nm; in 6,995 CATH domains the spread is 0.005.
BOND_RANGE = (0.36, 0.40)
# No pair of residues three or more apart came closer than 0.3 nm in 1,000 CATH domains (the
# closest: 0.34), while 0.36 nm already flags real chains. So any count above zero is an error
# of the sample, never of nature. Nearer neighbours are held by bond lengths and angles.
CLASH_DISTANCE = 0.3
CLASH_SEPARATION = 3
# No gap within a folded domain is as wide; with 100 nm TM-align takes seconds a pair, and P-SEA's
# cells of space terabytes.
LONGEST_STEP = 5.0
# P-SEA's alpha helix (Labesse et al. 1997): Cα distances i to i+2, i+3 and i+4 in nm.
HELIX_DISTANCES = {2: (0.50, 0.60), 3: (0.48, 0.58), 4: (0.58, 0.70)}
HELIX_DIHEDRAL = (30.0, 70.0)


def check_chain(points: Float[np.ndarray, "n 3"], least: int = 1) -> Float[np.ndarray, "n 3"]:
    """Return the chain in float64, or say why it can't be measured.

    Args:
        points: Cα coordinates [n, 3], nanometre.
        least: Smallest number of residues that the measure is defined for.

    Raises:
        FewstepError: The shape is wrong, the chain is too short, or a value isn't finite.
    """
    chain = np.asarray(points, dtype=np.float64)
    if chain.ndim != 2 or chain.shape[1] != 3 or len(chain) < least:
        raise FewstepError(
            "a chain has the wrong shape",
            expected=f"[n, 3] with n at least {least}",
            got=list(chain.shape),
        )
    if not np.isfinite(chain).all():
        raise FewstepError(
            "a chain has coordinates that are not finite",
            expected="finite nanometres",
            got=f"{int((~np.isfinite(chain)).any(1).sum())} broken residues of {len(chain)}",
            do="Leave the sample out, and count it",
        )
    return chain


def bond_fraction(points: Float[np.ndarray, "n 3"]) -> float:
    """Return the share of consecutive Cα-Cα distances in 0.36-0.40 nm; NaN below 2 residues.

    A cis peptide (0.295 nm, 0.2 % of real steps) counts as broken.
    """
    steps = np.linalg.norm(np.diff(check_chain(points), axis=0), axis=-1)
    if not len(steps):
        return math.nan
    return float(((steps >= BOND_RANGE[0]) & (steps <= BOND_RANGE[1])).mean())


def exploded(points: Float[np.ndarray, "n 3"]) -> bool:
    """Return whether two consecutive Cα are more than 5 nm apart: that is no chain any more."""
    steps = np.linalg.norm(np.diff(check_chain(points), axis=0), axis=-1)
    return bool((steps > LONGEST_STEP).any())


def is_whole(points: Float[np.ndarray, "n 3"]) -> bool:
    """Return whether a chain is finite and not exploded: only such have a structure to assign."""
    return bool(np.isfinite(points).all()) and not exploded(points)


def clashes(points: Float[np.ndarray, "n 3"]) -> int:
    """Return the number of pairs with |i-j| >= 3 that are closer than 0.3 nm."""
    pairs = KDTree(check_chain(points)).query_pairs(
        math.nextafter(CLASH_DISTANCE, 0.0), output_type="ndarray"
    )
    return int((np.abs(pairs[:, 0] - pairs[:, 1]) >= CLASH_SEPARATION).sum())


def radius_of_gyration(points: Float[np.ndarray, "n 3"]) -> float:
    """Return the root mean square distance from the centre, nanometre."""
    chain = check_chain(points)
    return float(np.sqrt(((chain - chain.mean(0)) ** 2).sum(-1).mean()))


def rg_ratio(points: Float[np.ndarray, "n 3"]) -> float:
    """Return Rg / (0.22 n^0.38 nm), about 1 for a compact fold (Skolnick et al. 1997)."""
    return radius_of_gyration(points) / (0.22 * len(points) ** 0.38)


def dihedrals(points: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, " d"]:
    """Return the virtual dihedrals of Cα i to i+3 in degrees, (-180, 180], n - 3 of them."""
    bonds = np.diff(check_chain(points, least=4), axis=0)
    first, middle, last = bonds[:-2], bonds[1:-1], bonds[2:]
    left, right = np.cross(first, middle), np.cross(middle, last)
    length = np.linalg.norm(middle, axis=-1)
    return np.degrees(np.arctan2((first * right).sum(-1) * length, (left * right).sum(-1)))


def handedness(points: Float[np.ndarray, "n 3"]) -> tuple[float, int]:
    """Return the right-handed share of the helix windows, and how many windows there are.

    A window is five residues with P-SEA's helical Cα distances (i to i+2, i+3, i+4), which
    are the same in a mirror image, and two virtual dihedrals of one sign in 30-70 degrees:
    positive is right-handed. Five residues, not four: single turns of real loops are
    left-handed in 1 % of the cases, these windows in 0.01 % (1,000 CATH domains).

    Returns:
        Share in [0, 1], NaN when the chain has no helix window; number of windows.
    """
    chain = check_chain(points)
    count = len(chain) - 4
    if count < 1:
        return math.nan, 0
    helical = np.ones(count, dtype=bool)
    for gap, (low, high) in HELIX_DISTANCES.items():
        near = np.linalg.norm(chain[gap:] - chain[:-gap], axis=-1)
        fits = (near >= low) & (near <= high)
        for shift in range(5 - gap):
            helical &= fits[shift : shift + count]
    angles = dihedrals(chain)
    low, high = HELIX_DIHEDRAL
    right, left = (
        int((helical & fits[:-1] & fits[1:]).sum())
        for fits in ((sign * angles >= low) & (sign * angles <= high) for sign in (1, -1))
    )
    return (right / (right + left) if right + left else math.nan), right + left


def describe(points: Float[np.ndarray, "n 3"]) -> dict[str, float]:
    """Return all columns of one chain; a chain that isn't finite gives ``finite`` 0 and NaN.

    Returns:
        ``length``, ``finite`` (0 or 1), ``exploded`` (0 or 1), ``bond_fraction``, ``clashes``,
        ``rg`` (nm), ``rg_ratio``, ``helix_windows`` and ``right_handed`` (NaN without helix).
    """
    columns = (
        "exploded",
        "bond_fraction",
        "clashes",
        "rg",
        "rg_ratio",
        "helix_windows",
        "right_handed",
    )
    finite = bool(np.isfinite(points).all())
    row = {"length": float(len(points)), "finite": float(finite)}
    if not finite:
        return row | dict.fromkeys(columns, math.nan)
    right, windows = handedness(points)
    values = (
        exploded(points),
        bond_fraction(points),
        clashes(points),
        radius_of_gyration(points),
        rg_ratio(points),
        windows,
        right,
    )
    return row | {name: float(value) for name, value in zip(columns, values, strict=True)}
