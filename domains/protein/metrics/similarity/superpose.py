"""Superposition of two chains whose residues correspond one to one: Kabsch, RMSD, TM-score.

For chains without a known correspondence see ``similarity``.
"""

import numpy as np
from jaxtyping import Bool, Float

from domains.errors import FewstepError
from domains.protein.metrics.geometry.chain import check_chain

__all__ = ["kabsch", "rmsd", "superpose", "tm_scale", "tm_score"]

# The shortest seed fragment and the number of halvings of the TM-score program.
_SHORTEST_SEED = 4
_HALVINGS = 6
_ROUNDS = 20
# Seeds handled at once: bounds memory (64 MB at 400 residues) without a loop per seed.
_BLOCK = 4096


def kabsch(
    mobile: Float[np.ndarray, "*s n 3"],
    target: Float[np.ndarray, "*s n 3"],
    weights: Float[np.ndarray, "*s n"],
) -> tuple[Float[np.ndarray, "*s 3 3"], Float[np.ndarray, "*s 3"]]:
    """Return the proper rotation and the shift that lay ``mobile`` on ``target``.

    Minimises sum_i w_i |R x_i + t - y_i|^2 over rotations with determinant +1 (Kabsch
    1976, 1978), so a mirror image is never made to fit. Leading dimensions are a batch.

    Args:
        mobile: Points x to move.
        target: Points y.
        weights: Non-negative weights; 0 leaves a point out.

    Returns:
        R, and t; apply as ``mobile @ R.swapaxes(-1, -2) + t[..., None, :]``.
    """
    share = weights / np.maximum(weights.sum(-1, keepdims=True), 1e-12)
    centre = np.einsum("...n,...nd->...d", share, mobile)
    goal = np.einsum("...n,...nd->...d", share, target)
    x, y = mobile - centre[..., None, :], target - goal[..., None, :]
    u, _, vt = np.linalg.svd(np.einsum("...n,...ni,...nj->...ij", share, y, x))
    u[..., 2] *= np.sign(np.linalg.det(u @ vt))[..., None]
    turn = u @ vt
    return turn, goal - np.einsum("...ij,...j->...i", turn, centre)


def superpose(
    mobile: Float[np.ndarray, "n 3"],
    target: Float[np.ndarray, "n 3"],
    mask: Bool[np.ndarray, " n"] | None = None,
) -> Float[np.ndarray, "n 3"]:
    """Return ``mobile`` laid on ``target`` by the residues in ``mask``; others become 0.

    Raises:
        FewstepError: The chains differ in length, or aren't finite where the mask holds.
    """
    keep = np.ones(len(mobile), dtype=bool) if mask is None else mask
    x, y = _pair(mobile, target, keep)
    turn, shift = kabsch(x, y, np.ones(len(x)))
    moved = np.zeros((len(mobile), 3))
    moved[keep] = x @ turn.T + shift
    return moved


def rmsd(
    mobile: Float[np.ndarray, "n 3"],
    target: Float[np.ndarray, "n 3"],
    mask: Bool[np.ndarray, " n"] | None = None,
) -> float:
    """Return the root mean square deviation after superposition, nanometre."""
    keep = np.ones(len(mobile), dtype=bool) if mask is None else mask
    gap = superpose(mobile, target, keep)[keep] - np.asarray(target, dtype=np.float64)[keep]
    return float(np.sqrt((gap**2).sum(-1).mean()))


def tm_scale(length: int) -> float:
    """Return d0 = 0.124 (L - 15)^(1/3) - 0.18 nm, at least 0.05 (Zhang & Skolnick 2004)."""
    return max(0.124 * float(np.cbrt(length - 15.0)) - 0.18, 0.05)


def tm_score(
    mobile: Float[np.ndarray, "n 3"],
    target: Float[np.ndarray, "n 3"],
    mask: Bool[np.ndarray, " n"] | None = None,
) -> float:
    """Return the TM-score of residue i on residue i, as scTM uses it.

    TM = max over rotations of 1/L sum_i 1 / (1 + (d_i / d0)^2), eq. 1 of Zhang & Skolnick
    2004, L = residues in the mask. The maximum is searched the way of their program: start
    from the fit of each fragment of length L, L/2, ... 4; then fit again on the residues
    that lie closer than a cut-off (0.45-0.8 nm; 0.1 less in the first round, 0.1 more in the
    later ones; at least three residues), until the set no longer changes. A search can only
    be too low, and RMSD's own fit is among the starts.

    Args:
        mobile: Cα coordinates, nanometre.
        target: Cα coordinates of the same residues, nanometre.
        mask: Residues to compare; all when None.

    Returns:
        Score in (0, 1].

    Raises:
        FewstepError: The chains differ in length, are shorter than 3, or aren't finite.
    """
    keep = np.ones(len(mobile), dtype=bool) if mask is None else mask
    x, y = _pair(mobile, target, keep)
    seeds = _seeds(len(x))
    return max(_search(x, y, seeds[i : i + _BLOCK]) for i in range(0, len(seeds), _BLOCK))


def _pair(
    mobile: Float[np.ndarray, "n 3"],
    target: Float[np.ndarray, "m 3"],
    keep: Bool[np.ndarray, " k"],
) -> tuple[Float[np.ndarray, "c 3"], Float[np.ndarray, "c 3"]]:
    """Return the compared residues of both chains, checked."""
    if not len(mobile) == len(target) == len(keep):
        raise FewstepError(
            "chains to superpose differ in length",
            expected="as many residues in both and in the mask",
            got=f"{len(mobile)}, {len(target)} and {len(keep)}",
        )
    return check_chain(mobile[keep], least=3), check_chain(target[keep], least=3)


def _seeds(length: int) -> Float[np.ndarray, "s n"]:
    """Return one 0/1 row per start: all fragments of length L, L/2, L/4 ... 4."""
    shortest = min(_SHORTEST_SEED, length)
    sizes = {max(length >> k, shortest) for k in range(_HALVINGS)}
    position = np.arange(length)
    rows = [
        (position >= start) & (position < start + size)
        for size in sorted(sizes, reverse=True)
        for start in range(length - size + 1)
    ]
    return np.array(rows, dtype=np.float64)


def _search(
    x: Float[np.ndarray, "n 3"], y: Float[np.ndarray, "n 3"], chosen: Float[np.ndarray, "s n"]
) -> float:
    """Return the best score over the starts in ``chosen``, each refined until it is fixed."""
    scale = tm_scale(len(x))
    cut = min(max(scale, 0.45), 0.8)
    best = 0.0
    for round_ in range(_ROUNDS):
        shape = (*chosen.shape, 3)
        turn, shift = kabsch(np.broadcast_to(x, shape), np.broadcast_to(y, shape), chosen)
        distance = np.linalg.norm(x @ turn.swapaxes(-1, -2) + shift[:, None] - y, axis=-1)
        best = max(best, float((1 / (1 + (distance / scale) ** 2)).mean(-1).max()))
        third = np.partition(distance, 2, axis=-1)[:, 2:3]
        closer = (distance <= np.maximum(cut + (0.1 if round_ else -0.1), third)).astype(np.float64)
        # Starts that have met go on as one.
        following = np.unique(closer[(closer != chosen).any(-1)], axis=0)
        if not len(following):
            break
        chosen = following
    return best
