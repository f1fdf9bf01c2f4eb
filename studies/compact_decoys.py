"""Wrong folds that are compact: right helices and strands in right numbers, joined wrongly.

Shuffled torsions and segments unfold a chain, and its size alone tells them. A generator's
errors are compact. So the loops' internal coordinates are dealt out anew among the loops, many
times, and the most compact chain without a clash is kept: helices, strands and loops have
natives' lengths, and only how they are packed is wrong.
"""

import numpy as np
from jaxtyping import Float, Int

from domains.protein.metrics.geometry.chain import dihedrals
from domains.protein.metrics.geometry.secondary_structure import assign

__all__ = ["build_many", "loops_shuffled"]

_CLASH = 0.34  # nm; no pair of residues three or more apart is closer in real domains


def loops_shuffled(
    chain: Float[np.ndarray, "n 3"], rng: np.random.Generator, rounds: int = 30, tries: int = 24
) -> Float[np.ndarray, "n 3"] | None:
    """Return a compact chain with shuffled loops, or None where there are none or all clash.

    Starts at a random order; each round draws ``tries`` exchanges of two loop residues, and
    goes on with the most compact chain without a clash.

    Args:
        chain: Cα coordinates of a native, nm.
        rng: Source of the orders.
        rounds: Of exchanges.
        tries: Exchanges per round.
    """
    angles, torsions = internal(chain)
    letters = np.frombuffer(assign(chain).encode(), dtype=np.uint8)
    # A torsion belongs to a loop if neither of its middle residues is in a helix or strand.
    coil = letters == ord("c")
    loops = np.flatnonzero(coil[1:-2] & coil[2:-1])
    if len(loops) < 4:
        return None
    order = np.arange(len(torsions))
    order[loops] = rng.permutation(loops)
    best, size = None, np.inf
    for _ in range(rounds):
        orders = np.tile(order, (tries, 1))
        pairs = loops[rng.integers(len(loops), size=(tries - 1, 2))]
        rows = np.arange(1, tries)[:, None]
        orders[rows, pairs] = orders[rows, pairs[:, ::-1]]
        made = build_many(
            np.hstack([angles[:1].repeat(tries)[:, None], angles[1:][orders]]), torsions[orders]
        )
        sizes = ((made - made.mean(1, keepdims=True)) ** 2).sum((1, 2)) / chain.shape[0]
        broken = clashes(made)
        cost = np.sqrt(sizes) + 0.1 * broken
        chosen = int(np.argmin(cost))
        if cost[chosen] < size:
            order, size = orders[chosen], cost[chosen]
            best = made[chosen] if not broken[chosen] else None
    return best


def internal(
    chain: Float[np.ndarray, "n 3"],
) -> tuple[Float[np.ndarray, " a"], Float[np.ndarray, " t"]]:
    """Return bond angles and virtual dihedrals, rad."""
    bonds = np.diff(chain, axis=0)
    bonds /= np.linalg.norm(bonds, axis=1, keepdims=True)
    angles = np.arccos(np.clip(-(bonds[:-1] * bonds[1:]).sum(1), -1, 1))
    return angles, np.radians(dihedrals(chain))


def clashes(chains: Float[np.ndarray, "b n 3"]) -> Int[np.ndarray, " b"]:
    """Return how many pairs of residues three or more apart are closer than 0.34 nm."""
    first, second = np.triu_indices(chains.shape[1], 3)
    apart = np.linalg.norm(chains[:, first] - chains[:, second], axis=-1)
    return (apart < _CLASH).sum(1)


def build_many(
    angles: Float[np.ndarray, "b a"], torsions: Float[np.ndarray, "b t"], bond: float = 0.38
) -> Float[np.ndarray, "b n 3"]:
    """Return chains of the given bond angles and dihedrals (rad), all at once."""
    count, length = angles.shape[0], angles.shape[1] + 2
    chains = np.zeros((count, length, 3))
    chains[:, 1, 0] = bond
    chains[:, 2, 0] = bond * (1 - np.cos(angles[:, 0]))
    chains[:, 2, 1] = bond * np.sin(angles[:, 0])
    for k in range(length - 3):
        before, last = chains[:, k + 1] - chains[:, k], chains[:, k + 2] - chains[:, k + 1]
        along = last / np.linalg.norm(last, axis=1, keepdims=True)
        normal = _cross(before, along)
        normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-12)
        bend, twist = angles[:, k + 1, None], torsions[:, k, None]
        side = np.cos(twist) * _cross(normal, along) + np.sin(twist) * normal
        chains[:, k + 3] = chains[:, k + 2] + bond * (np.sin(bend) * side - np.cos(bend) * along)
    return chains


def _cross(first: Float[np.ndarray, "b 3"], second: Float[np.ndarray, "b 3"]) -> np.ndarray:
    """Return the cross products [b, 3]; numpy's own is slow for few rows."""
    a, b = first[:, [1, 2, 0]], second[:, [1, 2, 0]]
    c, d = first[:, [2, 0, 1]], second[:, [2, 0, 1]]
    return a * d - c * b
