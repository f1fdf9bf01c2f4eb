"""Contract: a share's interval has a width where all samples agree, and holds the truth."""

import math

import numpy as np
import pytest

from domains.errors import FewstepError
from domains.evaluation.statistics.shares import phi, wilson


def ones(hits: int, count: int) -> np.ndarray:
    return np.arange(count) < hits


def test_none_of_32_is_not_none() -> None:
    value, low, high = wilson(ones(0, 32).astype(float))
    assert (value, low) == (0.0, 0.0) and high == pytest.approx(0.107, abs=5e-4)
    value, low, high = wilson(ones(32, 32).astype(float))
    assert (value, high) == (1.0, 1.0) and low == pytest.approx(0.893, abs=5e-4)
    assert all(map(math.isnan, wilson(np.array([]))))


@pytest.mark.parametrize(
    ("hits", "count", "low", "high"),
    # Newcombe 1998, Statistics in Medicine 17:857, table I, method 3.
    [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_against_published_intervals(hits: int, count: int, low: float, high: float) -> None:
    assert wilson(ones(hits, count).astype(float))[1:] == pytest.approx((low, high), abs=5e-5)


def test_against_scipy() -> None:
    stats = pytest.importorskip("scipy.stats")
    for hits in range(12):
        expected = stats.binomtest(hits, 11).proportion_ci(0.9, "wilson")
        found = wilson(ones(hits, 11).astype(float), 0.9)
        assert found[1:] == pytest.approx(tuple(expected), abs=1e-12)


def test_what_is_no_share_is_refused() -> None:
    with pytest.raises(FewstepError, match=r"neither 0 nor 1.*0\.5"):
        wilson(np.array([1.0, 0.5]))


def test_phi_is_the_correlation_corrected_towards_zero() -> None:
    rng = np.random.default_rng(0)
    first = (rng.uniform(size=400) < 0.4).astype(float)
    second = np.where(rng.uniform(size=400) < 0.8, first, 1 - first)
    exact = np.corrcoef(first, second)[0, 1]
    assert 0 < phi(first, second) < exact and phi(first, second) == pytest.approx(exact, abs=0.02)
    assert phi(first, 1 - first) == pytest.approx(-1)
    assert phi(first, np.ones(400)) == 0
