"""Contract: the energy distance is that of the literature, unbiased, and refuses broken points."""

import math

import numpy as np
import pytest
from scipy import stats

from domains.errors import FewstepError
from domains.evaluation.statistics.energy_distance import EnergyDistance


def test_two_places_are_twice_their_distance_apart() -> None:
    here, there = np.zeros((5, 2)), np.tile([3.0, 4.0], (7, 1))
    assert EnergyDistance(here).to(there) == pytest.approx(10)
    assert EnergyDistance(here).to(here[:3]) == 0


def test_on_a_line_it_is_that_of_scipy() -> None:
    """Scipy counts the pairs of a point with itself, and takes the root."""
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(9, 1)), rng.exponential(size=(14, 1))
    itself = 0.0
    for points in (first, second):
        mean = np.abs(points - points.T).mean()
        itself += mean * len(points) / (len(points) - 1) - mean
    expected = stats.energy_distance(first[:, 0], second[:, 0]) ** 2 - itself
    assert EnergyDistance(second).to(first) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("count", [3, 30])
def test_equal_distributions_are_at_zero_on_average_whatever_their_number(count: int) -> None:
    rng = np.random.default_rng(1)
    reference = EnergyDistance(rng.normal(size=(3000, 2)))
    values = np.array([reference.to(rng.normal(size=(count, 2))) for _ in range(400)])
    error = values.std() / math.sqrt(len(values))
    assert abs(values.mean()) < 3 * error
    # Counting pairs of a point with itself would add E|X − X'| / n: many standard errors.
    assert math.sqrt(math.pi) / count > 10 * error


def test_it_grows_with_a_shift() -> None:
    rng = np.random.default_rng(2)
    points = rng.normal(size=(200, 2))
    shifts = np.array([[0.3, 0], [1.0, 0], [3.0, 0]])
    found = [EnergyDistance(points).to(points + shift) for shift in shifts]
    assert 0 < found[0] < found[1] < found[2]


def test_what_is_not_finite_or_too_few_is_said() -> None:
    points = np.zeros((4, 2))
    assert math.isnan(EnergyDistance(points).to(points[:1]))
    with pytest.raises(FewstepError, match="1 points"):
        EnergyDistance(points[:1])
    points[1, 0] = np.nan
    with pytest.raises(FewstepError, match="1 not finite"):
        EnergyDistance(np.zeros((4, 2))).to(points)
