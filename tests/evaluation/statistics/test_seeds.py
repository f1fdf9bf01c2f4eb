"""Contract: an interval over seeds holds the value of another seed's training on average."""

import math

import numpy as np
import pytest

from domains.evaluation.statistics.seeds import over_seeds


@pytest.mark.parametrize(("of_seeds", "of_samples"), [(1.0, 0.1), (0.3, 3.0), (0.0, 1.0)], ids=str)
def test_the_interval_holds_the_truth_as_often_as_it_says(
    of_seeds: float, of_samples: float
) -> None:
    """Three seeds sampled from the same noise, so that they share the luck of the samples."""
    rng, held, count = np.random.default_rng(0), [], 50
    for _ in range(400):
        shared = rng.normal(0, of_samples, count)
        tables = [rng.normal(0, of_seeds) + shared + rng.normal(0, 0.5, count) for _ in range(3)]
        estimates = []
        for table in tables:
            mean, half = table.mean(), 1.96 * table.std(ddof=1) / math.sqrt(count)
            estimates.append([mean, mean - half, mean + half])
        found = over_seeds(np.array(estimates))
        held.append(found.low <= 0 <= found.high)
    assert 0.92 <= np.mean(held) <= 1.0


def test_seeds_that_agree_have_the_interval_of_their_samples() -> None:
    found = over_seeds(np.array([[1.0, 0.8, 1.2]] * 3))
    assert found == pytest.approx((1.0, 0.8, 1.2))


def test_two_seeds_that_disagree_say_little() -> None:
    found = over_seeds(np.array([[1.0, 0.99, 1.01], [2.0, 1.99, 2.01]]))
    assert found.value == 1.5 and found.high - found.low > 10


def test_one_seed_has_its_own_interval_and_none_has_none() -> None:
    alone = np.array([[1.0, 0.7, 1.2], [math.nan] * 3])
    assert over_seeds(alone) == (1.0, 0.7, 1.2)
    assert all(map(math.isnan, over_seeds(alone[1:])))
    without = over_seeds(np.array([[1.0, math.nan, math.nan], [2.0, math.nan, math.nan]]))
    assert without.value == 1.5 and math.isnan(without.low) and math.isnan(without.high)
    assert over_seeds(np.ones((3, 3))) == (1.0, 1.0, 1.0)
