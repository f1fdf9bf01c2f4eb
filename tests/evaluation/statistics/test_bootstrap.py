"""Contract: an interval holds the truth as often as it says; nothing undefined enters."""

import math

import numpy as np
import pytest

from domains.errors import FewstepError
from domains.evaluation.statistics.bootstrap import (
    bootstrap_groups,
    bootstrap_interval,
    bootstrap_pairs,
)


def off_diagonal(matrix: np.ndarray, chosen: np.ndarray) -> float:
    part = matrix[np.ix_(chosen, chosen)]
    return float(part[chosen[:, None] != chosen[None]].mean())


def test_the_interval_holds_the_mean_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    held = [
        low <= 3.0 <= high
        for _, low, high in (
            bootstrap_interval(rng.normal(3.0, 2.0, 50), seed=i, draws=300) for i in range(300)
        )
    ]
    # Three standard errors about the 94 % that percentiles reach at n = 50.
    assert 0.90 <= np.mean(held) <= 0.98


def test_the_interval_has_the_width_of_theory() -> None:
    values = np.random.default_rng(1).normal(0.0, 1.0, 400)
    value, low, high = bootstrap_interval(values, draws=4000)
    assert value == pytest.approx(values.mean())
    assert high - low == pytest.approx(2 * 1.96 * values.std() / 20, rel=0.06)
    _, narrow_low, narrow_high = bootstrap_interval(values, draws=4000, level=0.5)
    assert narrow_high - narrow_low == pytest.approx(2 * 0.674 * values.std() / 20, rel=0.08)


def test_any_statistic_and_the_seed() -> None:
    values = np.random.default_rng(2).exponential(size=60)
    first, again = (bootstrap_interval(values, np.median, seed=5) for _ in range(2))
    assert first == again
    assert first.value == np.median(values)
    assert first != bootstrap_interval(values, np.median, seed=6)


def test_agreement_gives_no_width_and_nothing_gives_nan() -> None:
    assert bootstrap_interval(np.ones(5)) == (1.0, 1.0, 1.0)
    assert all(math.isnan(part) for part in bootstrap_interval(np.array([])))


def test_a_bootstrap_refuses_nan_and_nonsense() -> None:
    with pytest.raises(FewstepError, match="1 of 2"):
        bootstrap_interval(np.array([1.0, np.nan]))
    for level, draws in ((1.0, 10), (0.0, 10), (0.95, 0)):
        with pytest.raises(FewstepError, match="level"):
            bootstrap_interval(np.ones(3), level=level, draws=draws)


def test_pairs_are_resampled_by_sample() -> None:
    """Pair (i, j) = x_i + x_j has mean 2 mu, so its interval must hold 2 mu 95 % of the time."""
    rng = np.random.default_rng(3)
    held, widths = [], []
    for i in range(150):
        x = rng.normal(1.0, 1.0, 30)
        value, low, high = bootstrap_pairs(x[:, None] + x[None], off_diagonal, seed=i, draws=200)
        assert value == pytest.approx(2 * x.mean())
        held.append(low <= 2.0 <= high)
        widths.append(high - low)
    assert 0.88 <= np.mean(held) <= 0.99
    # Pairs taken as independent would claim sqrt(2) / sqrt(435), 0.27 wide.
    assert np.mean(widths) == pytest.approx(2 * 1.96 * 2 / math.sqrt(30), rel=0.1)


def test_the_interval_of_a_biased_count_lies_around_its_value() -> None:
    def groups(matrix: np.ndarray, chosen: np.ndarray) -> float:
        return len(np.unique(matrix[chosen, 0])) / len(chosen)

    labels = np.repeat(np.arange(20.0), 2)[:, None] * np.ones((1, 40))
    value, low, high = bootstrap_pairs(labels, groups, bounds=(0.0, 1.0))
    assert value == 0.5
    assert 0.0 <= low < value < high <= 1.0


def test_groups_are_pairs_of_the_same_group() -> None:
    groups = np.array([3, 3, 0, 7, 7, 7, 1])

    def share(same: np.ndarray, chosen: np.ndarray) -> float:
        different = np.unique(chosen)
        return len(np.unique(same[np.ix_(different, different)], axis=0)) / len(different)

    same = (groups[:, None] == groups[None]).astype(float)
    found = bootstrap_groups(groups, seed=4, draws=50)
    assert found == bootstrap_pairs(same, share, seed=4, draws=50, bounds=(0, 1))
    assert found.value == 4 / 7 and found.low < found.value < found.high
    assert math.isnan(bootstrap_groups(np.array([], dtype=int)).value)
