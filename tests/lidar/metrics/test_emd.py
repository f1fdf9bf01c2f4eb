"""Contract: the value is a plan's cost, the optimum lies within ``gap`` below it.

Small problems are solved exactly; large ones through coarser scales, to the tolerance.
"""

from functools import partial
from typing import Any

import numpy as np
import pytest
from lidar.clouds import scattered
from scipy.optimize import linprog
from scipy.spatial.distance import cdist

from domains.errors import FewstepError
from domains.lidar.metrics import emd as emd_module
from domains.lidar.metrics.clouds import voxel_counts
from domains.lidar.metrics.emd import ALL_PAIRS, EXACT_PAIRS, emd

cloud = partial(scattered, spread=3.0)


def measures(one: np.ndarray, other: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return shares of both clouds in voxels of 0.5 m and the distances between the centres."""
    voxels, ours, real = voxel_counts(one, other)
    return ours / len(one), real / len(other), cdist(0.5 * voxels, 0.5 * voxels)


def test_identical_clouds_are_zero_apart_however_often_points_repeat() -> None:
    points = cloud(0, 5000)
    assert emd(points, points[::-1]) == (0, 0)
    assert emd(points.repeat(3, 0), points) == (0, 0)


def test_two_points_are_their_distance_apart() -> None:
    one, other = np.array([[0.1, 0.2, 0.3]]), np.array([[1.6, 2.2, 0.3]])
    assert emd(one, other).value == pytest.approx(2.5)
    assert emd(np.concatenate([one, other]), other).value == pytest.approx(1.25)


@pytest.mark.parametrize("n", [100, 3000])
def test_a_shift_by_whole_voxels_costs_its_length(n: int) -> None:
    points = np.floor(cloud(0, n)) + 0.25
    value, gap = emd(points + np.array([1.5, -2.0, 0.0]), points)
    assert value == pytest.approx(2.5, rel=0.01)
    assert value - gap <= 2.5 + 1e-9 <= value + 2e-9


def test_small_problems_agree_with_linear_programming() -> None:
    one, other = cloud(0, 15), cloud(1, 12) + 1.0
    supply, demand, costs = measures(one, other)
    n = len(supply)
    constraints = np.concatenate([np.kron(np.eye(n), np.ones(n)), np.kron(np.ones(n), np.eye(n))])
    exact = linprog(costs.reshape(-1), A_eq=constraints, b_eq=np.concatenate([supply, demand]))
    found = emd(one, other)
    assert found.value == pytest.approx(exact.fun, abs=1e-9)
    assert found.gap < 1e-9


@pytest.mark.parametrize("tolerance", [1e-1, 1e-6])
@pytest.mark.parametrize("offset", [0.0, 2.0])
def test_large_problems_keep_their_certificate(
    offset: float, tolerance: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And small ones are exact, whatever the tolerance."""
    ot = pytest.importorskip("ot")
    one, other = cloud(0, 1000), cloud(1, 800, spread=2.0) + offset
    supply, demand, costs = measures(one, other)
    assert (supply > demand).sum() * (supply < demand).sum() > ALL_PAIRS
    exact = ot.emd2(supply, demand, costs)
    found = emd(one, other, tolerance=tolerance)
    assert found == (pytest.approx(exact, rel=1e-9), pytest.approx(0, abs=1e-9))
    monkeypatch.setattr(emd_module, "EXACT_PAIRS", 0)
    value, gap = emd(one, other, tolerance=tolerance)
    assert value - gap - 1e-9 <= exact <= value + 1e-9
    assert 0 <= gap <= tolerance * value + 1e-12


def test_a_scene_of_some_thousand_points_is_exact() -> None:
    """As linear programming finds it, between the voxels whose shares differ (Kantorovich)."""
    one, other = cloud(0, 2000, spread=4.0), cloud(1, 1800, spread=4.0) + 0.3
    supply, demand, costs = measures(one, other)
    moved = supply - demand
    start, end = np.flatnonzero(moved > 0), np.flatnonzero(moved < 0)
    assert ALL_PAIRS < len(start) * len(end) <= EXACT_PAIRS
    ot = pytest.importorskip("ot")
    share = moved[start].sum()
    inner = costs[np.ix_(start, end)]
    expected = share * ot.emd2(moved[start] / share, -moved[end] / share, inner, numItermax=10**7)
    found = emd(one, other)
    assert found.value == pytest.approx(expected, rel=1e-9) and found.gap < 1e-9


def test_order_and_swap_change_nothing_beyond_the_gap() -> None:
    one, other = cloud(0, 2000), cloud(1, 1500)
    first, second = emd(one, other), emd(other[::-1], one[::-1])
    assert abs(first.value - second.value) <= max(first.gap, second.gap) + 1e-12


def test_means_bound_it_from_below() -> None:
    one, other = cloud(0, 2000), cloud(1, 1500) + 5.0
    supply, demand, _ = measures(one, other)
    voxels = voxel_counts(one, other).voxels
    assert emd(one, other).value >= 0.5 * np.linalg.norm((supply - demand) @ voxels)


def test_masses_that_cancel_within_coarser_voxels() -> None:
    steps = np.stack(np.meshgrid(*[np.arange(12.0)] * 3), -1).reshape(-1, 3)
    value, gap = emd(steps + 0.25, steps + np.array([0.75, 0.25, 0.25]))
    assert (value, gap) == (pytest.approx(0.5), pytest.approx(0, abs=1e-9))


def test_a_point_far_away_weighs_its_share() -> None:
    points = cloud(0, 2000)
    far = np.concatenate([points, [[1e9, 0.0, 0.0]]])
    assert emd(far, points).value == pytest.approx(1e9 / len(far), rel=1e-2)


def test_broken_clouds_are_errors() -> None:
    points = cloud(0, 10)
    for broken in (points[:0], np.full((1, 3), np.nan)):
        with pytest.raises(FewstepError):
            emd(broken, points)
        with pytest.raises(FewstepError):
            emd(points, broken)


def test_golden(reference: Any) -> None:
    found = emd(reference.predicted, reference.truth)
    expected = reference.values["emd_exact_same_voxel_measures"]
    assert found.value == pytest.approx(expected, abs=1e-6)
    assert found.gap < 1e-9
