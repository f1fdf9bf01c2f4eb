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


def pairs_of(count: int) -> np.ndarray:
    return np.stack(np.tril_indices(count, -1), axis=1)


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


@pytest.mark.parametrize("most", [None, 150])
def test_pairs_are_resampled_by_sample(most: int | None) -> None:
    """Pair (i, j) = x_i + x_j has mean 2 mu, so its interval must hold 2 mu 95 % of the time."""
    rng = np.random.default_rng(3)
    held, widths, pairs = [], [], pairs_of(30)
    for i in range(150):
        x = rng.normal(1.0, 1.0, 30)
        used = pairs if most is None else rng.choice(pairs, most, replace=False)
        values = x[used].sum(1)
        value, low, high = bootstrap_pairs(used, values, 30, seed=i, draws=200)
        assert value == pytest.approx(values.mean())
        held.append(low <= 2.0 <= high)
        widths.append(high - low)
    assert 0.88 <= np.mean(held) <= 1.0
    # Pairs taken as independent would claim sqrt(2) / sqrt(435), 0.27 wide.
    of_samples = 2 * 1.96 * 2 / math.sqrt(30)
    assert np.mean(widths) == pytest.approx(of_samples, rel=0.1 if most is None else 0.25)


def test_a_draw_counts_a_pair_as_often_as_both_of_its_samples_are_in_it() -> None:
    """Against the mean over a drawn matrix, in which a sample makes no pair with itself."""
    matrix, pairs = np.random.default_rng(0).uniform(size=(6, 6)), pairs_of(6)
    matrix = (matrix + matrix.T) / 2
    found = bootstrap_pairs(pairs, matrix[tuple(pairs.T)], 6, seed=7, draws=40, level=0.5)
    rng, means = np.random.default_rng(7), []
    for _ in range(40):
        chosen = rng.integers(6, size=6)
        part = matrix[np.ix_(chosen, chosen)]
        means.append(part[chosen[:, None] != chosen[None]].mean())
    quarter, three = np.quantile(means, [0.25, 0.75])
    assert found.high - found.low == pytest.approx(three - quarter)
    assert found.low == pytest.approx(quarter + found.value - np.mean(means))


def test_no_pairs_have_no_mean() -> None:
    nothing = bootstrap_pairs(np.empty((0, 2), dtype=int), np.empty(0), 3)
    assert all(math.isnan(part) for part in nothing)


def test_the_interval_of_a_biased_count_lies_around_its_value() -> None:
    groups = np.repeat(np.arange(20), 2)
    value, low, high = bootstrap_groups(groups)
    assert value == 0.5
    assert 0.0 <= low < value < high <= 1.0


def test_groups_are_counted_among_the_different_samples_of_a_draw() -> None:
    groups = np.array([3, 3, 0, 7, 7, 7, 1])
    found = bootstrap_groups(groups, seed=4, draws=50)
    assert found.value == 4 / 7 and found.low < found.value < found.high
    assert bootstrap_groups(np.zeros(5, dtype=int), seed=4, draws=50).value == 0.2
    assert math.isnan(bootstrap_groups(np.array([], dtype=int)).value)
