"""Earth mover's distance between the voxels of two clouds: optimal transport, certified.

A scene has tens of thousands of voxels, and the linear programme a variable for each pair.
Only pairs that may carry mass are handed to the network simplex (POT): first those below the
coarser scale's optimal plan (Mérigot 2011) and those cheapest at its prices, then those that
undercut the prices of the solution, until none does (column generation). The prices also give
a lower bound (Kantorovich duality), so the distance is known to lie within ``gap`` below
``value``. Small problems go on until nothing is left of the gap but rounding, large ones until
it is small.
"""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int
from scipy.sparse import coo_array, csr_array, eye_array
from scipy.spatial.distance import cdist

from domains.errors import FewstepError
from domains.lidar.metrics.clouds import VOXEL, distinct_rows, voxel_counts

__all__ = ["EarthMover", "emd"]

# So few pairs are all handed over at once.
ALL_PAIRS = 100_000
# So few are solved exactly, in one to two seconds.
EXACT_PAIRS = 10_000_000
ROUNDING = 1e-9
# Pairs added per origin and round. Fewer take more rounds, more take longer ones.
PAIRS_PER_VOXEL = 10
# Distances at once (16 MB).
PIECE = 2_000_000
MOST_PIVOTS = 1_000_000_000


class EarthMover(NamedTuple):
    """Cost of a transport plan, and how far it is above the optimum at most; metre."""

    value: float
    gap: float


class _Plan(NamedTuple):
    """Between which voxels (rows) mass moves, at what cost, and the prices of all targets.

    Lengths are in voxels, and the mass that moves is 1.
    """

    origins: Int[np.ndarray, " m"]
    targets: Int[np.ndarray, " m"]
    cost: float
    gap: float
    ends: Float[np.ndarray, "q 3"]
    prices: Float[np.ndarray, " q"]


def emd(
    predicted: Float[np.ndarray, "p 3"],
    truth: Float[np.ndarray, "g 3"],
    voxel: float = VOXEL,
    tolerance: float = 1e-2,
) -> EarthMover:
    """Return min Σ_ij P_ij |x_i - y_j| over plans P between the shares of points in voxels.

    Args:
        predicted: Finite coordinates, metre.
        truth: The same.
        voxel: Edge of a voxel, whose points all count at its centre. That changes the
            distance by at most 1.73 voxels, mostly far less.
        tolerance: Largest gap as a share of the value, of more than ten million pairs of voxels
            between which mass may move; fewer are solved to rounding.

    Raises:
        FewstepError: A cloud is empty or not finite, or the solver fails.
    """
    voxels, ours, real = voxel_counts(predicted, truth, voxel)
    # Shares with a common denominator, so that equal ones cancel exactly. What two clouds
    # share stays where it is, which no plan undercuts (the cost is a metric).
    mass = ours * float(len(truth)) - real * float(len(predicted))
    if int((mass > 0).sum()) * int((mass < 0).sum()) <= EXACT_PAIRS:
        tolerance = ROUNDING
    plan = _transport(voxels, mass, tolerance)
    share = voxel * float(mass[mass > 0].sum()) / len(truth) / len(predicted)
    return EarthMover(share * plan.cost, share * plan.gap)


def _transport(
    voxels: Float[np.ndarray, "v 3"], mass: Float[np.ndarray, " v"], tolerance: float
) -> _Plan:
    """Move the positive masses to the negative ones."""
    origins, targets = np.flatnonzero(mass > 0), np.flatnonzero(mass < 0)
    start, end = voxels[origins], voxels[targets]
    if not len(origins):
        return _Plan(origins, targets, 0.0, 0.0, end, np.zeros(0))
    if len(origins) * len(targets) <= ALL_PAIRS:
        pairs = np.arange(len(origins) * len(targets))
    else:
        pairs = _promising_pairs(voxels, mass, tolerance, origins, targets)
    supply, demand = mass[origins] / mass[origins].sum(), mass[targets] / mass[targets].sum()
    while True:
        flow, cost, u, v = _network_simplex(supply, demand, start, end, pairs)
        cheapest, cheaper = _undercutting_pairs(start, end, u, v, tolerance * cost)
        gap = cost - float(supply @ cheapest + demand @ v)
        known, pairs = len(pairs), np.union1d(pairs, cheaper)
        if gap <= tolerance * cost or len(pairs) == known:
            return _Plan(origins[flow.row], targets[flow.col], cost, max(gap, 0.0), end, v)


def _promising_pairs(
    voxels: Float[np.ndarray, "v 3"],
    mass: Float[np.ndarray, " v"],
    tolerance: float,
    origins: Int[np.ndarray, " p"],
    targets: Int[np.ndarray, " q"],
) -> Int[np.ndarray, " m"]:
    """Return pairs (origin x q + target) that the coarser plan suggests; they hold a plan."""
    parents, parent = distinct_rows(voxels // 2)
    plan = _transport(parents, np.bincount(parent, mass), tolerance)
    pairs = _pairs_below(plan, parent, origins, targets)
    if not len(plan.ends):
        return pairs
    # The coarser potential, with parents at the middle of their children.
    potential, _ = _undercutting_pairs(
        voxels, 2 * plan.ends + 0.5, np.full(len(voxels), -np.inf), 2 * plan.prices, 0.0
    )
    _, cheapest = _undercutting_pairs(
        voxels[origins], voxels[targets], potential[origins], -potential[targets], -np.inf
    )
    return np.union1d(pairs, cheapest)


def _pairs_below(
    plan: _Plan,
    parent: Int[np.ndarray, " v"],
    origins: Int[np.ndarray, " p"],
    targets: Int[np.ndarray, " q"],
) -> Int[np.ndarray, " m"]:
    """Return pairs whose parents exchange mass or are the same.

    They always hold a plan: what doesn't cancel within a parent is its net mass, which the
    coarser plan moves.
    """
    n = int(parent.max()) + 1
    moved = csr_array((np.ones(len(plan.origins)), (plan.origins, plan.targets)), shape=(n, n))
    belongs = csr_array((np.ones(len(parent)), (np.arange(len(parent)), parent)))
    allowed = belongs[origins] @ (moved + eye_array(n, format="csr")) @ belongs[targets].T
    rows, columns = allowed.tocoo().coords
    return rows.astype(np.int64) * len(targets) + columns


def _network_simplex(
    supply: Float[np.ndarray, " p"],
    demand: Float[np.ndarray, " q"],
    start: Float[np.ndarray, "p 3"],
    end: Float[np.ndarray, "q 3"],
    pairs: Int[np.ndarray, " m"],
) -> tuple[Any, float, Float[np.ndarray, " p"], Float[np.ndarray, " q"]]:
    """Return the best plan over the given pairs, its cost, and the prices u and v of voxels."""
    import ot

    rows, columns = np.divmod(pairs, len(end))
    lengths = np.linalg.norm(start[rows] - end[columns], axis=1)
    costs = coo_array((lengths, (rows, columns)), shape=(len(start), len(end)))
    plan, log = ot.emd(supply, demand, costs, numItermax=MOST_PIVOTS, log=True)
    if log["warning"] is not None:
        raise FewstepError("the optimal transport was not found", got=log["warning"])
    return plan.tocoo(), float(log["cost"]), log["u"], log["v"]


def _undercutting_pairs(
    start: Float[np.ndarray, "p 3"],
    end: Float[np.ndarray, "q 3"],
    u: Float[np.ndarray, " p"],
    v: Float[np.ndarray, " q"],
    least: float,
) -> tuple[Float[np.ndarray, " p"], Int[np.ndarray, " m"]]:
    """Return min_j |x_i - y_j| - v_j for each origin, and pairs that cost less than u_i + v_j.

    The minima are prices that no pair undercuts, hence a lower bound. Pairs count that
    undercut by more than ``least``: without them the bound is no farther off than that. Of
    these, the best few of each origin and the best of each target are returned.
    """
    cheapest, found = np.empty(len(start)), []
    lowest, best_row = np.full(len(end), -least), np.full(len(end), -1)
    for rows in np.array_split(np.arange(len(start)), len(start) * len(end) // PIECE + 1):
        price = cdist(start[rows], end) - v
        cheapest[rows] = price.min(1)
        price -= u[rows, None]
        i, j = _lowest_of_rows(price, -least)
        found.append(rows[i] * len(end) + j)
        low = price.min(0)
        j = np.flatnonzero(low < lowest)
        lowest[j], best_row[j] = low[j], rows[price[:, j].argmin(0)]
    j = np.flatnonzero(best_row >= 0)
    return cheapest, np.concatenate([*found, best_row[j] * len(end) + j])


def _lowest_of_rows(
    values: Float[np.ndarray, "p q"], limit: float
) -> tuple[Int[np.ndarray, " m"], Int[np.ndarray, " m"]]:
    """Return row and column of the few lowest values of each row, if below ``limit``."""
    most = min(PAIRS_PER_VOXEL, values.shape[1])
    low = np.flatnonzero(values.min(1) < limit)
    columns = np.argpartition(values[low], most - 1, axis=1)[:, :most].reshape(-1)
    rows = low.repeat(most)
    below = values[rows, columns] < limit
    return rows[below], columns[below]
