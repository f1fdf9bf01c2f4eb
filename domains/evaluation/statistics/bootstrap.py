"""Values of a set of samples and their bootstrap intervals."""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int, Real

from domains.errors import FewstepError

__all__ = ["Interval", "bootstrap_groups", "bootstrap_interval", "bootstrap_pairs"]


class Interval(NamedTuple):
    """A value and its confidence interval."""

    value: float
    low: float
    high: float


def bootstrap_interval(
    values: Real[np.ndarray, " n"],
    statistic: Callable[[Float[np.ndarray, " n"]], float] = np.mean,
    seed: int = 0,
    draws: int = 1000,
    level: float = 0.95,
) -> Interval:
    """Return a statistic and its percentile bootstrap interval (Efron 1979).

    The interval holds the luck of drawing these samples, not that of training again.
    When all values agree it has width 0, and below about 20 values it is too narrow.

    Args:
        values: Finite values, one per independent sample.
        statistic: Function of an array.
        seed: Of the draws; the same seed gives the same interval.
        draws: Number of resamples.
        level: Share of intervals that should hold the true value.

    Raises:
        FewstepError: A value isn't finite, or level or draws make no sense.
    """
    values = np.asarray(values, dtype=np.float64)
    if not np.isfinite(values).all():
        raise FewstepError(
            "a bootstrap got values that are not finite",
            got=f"{int((~np.isfinite(values)).sum())} of {len(values)}",
            do="Leave them out, and report their share",
        )
    return _resample(
        len(values), lambda chosen: float(statistic(values[chosen])), seed, draws, level
    )


def bootstrap_pairs(
    pairs: Int[np.ndarray, "m 2"],
    values: Float[np.ndarray, " m"],
    count: int,
    seed: int = 0,
    draws: int = 1000,
    level: float = 0.95,
    bounds: tuple[float, float] = (-math.inf, math.inf),
) -> Interval:
    """Return the mean of pairs and its interval from resampling the *samples*.

    Pairs that share a sample are not independent, so samples are drawn, not pairs: a pair counts
    as often as both of its samples were drawn, the product of how often each was (Owen 2007, The
    pigeonhole bootstrap, Annals of Applied Statistics 1:386). All pairs may be given or some that
    were drawn at random; then the interval holds the luck of that draw too, and is a little too
    wide. It is laid around the value.

    Args:
        pairs: The two samples of each pair, which differ.
        values: One finite number per pair, such as a similarity.
        count: Number of samples.
        seed: Of the draws.
        draws: Number of resamples.
        level: Share of intervals that should hold the true value.
        bounds: Smallest and largest possible value; the interval is cut to them.
    """
    if not len(pairs):
        return Interval(math.nan, math.nan, math.nan)

    def mean(chosen: Int[np.ndarray, " k"]) -> float:
        times = np.bincount(chosen, minlength=count)
        weights = times[pairs[:, 0]] * times[pairs[:, 1]]
        total = int(weights.sum())
        return float(weights @ values) / total if total else math.nan

    return _resample(count, mean, seed, draws, level, bounds)


def bootstrap_groups(
    groups: Int[np.ndarray, " n"], seed: int = 0, draws: int = 1000, level: float = 0.95
) -> Interval:
    """Return groups / samples, and its interval from resampling the samples.

    A draw holds only about 63 % different samples, which shifts a count of groups; so the draws
    give the spread only, and the interval is laid around the value.

    Args:
        groups: The group of each sample; the groups stay as they are in every draw.
        seed: Of the draws.
        draws: Number of resamples.
        level: Share of intervals that should hold the true value.
    """

    def share(chosen: Int[np.ndarray, " k"]) -> float:
        different = np.unique(chosen)
        return len(np.unique(groups[different])) / len(different)

    return _resample(len(groups), share, seed, draws, level, (0, 1))


def _resample(
    count: int,
    measure: Callable[[Int[np.ndarray, " k"]], float],
    seed: int,
    draws: int,
    level: float,
    bounds: tuple[float, float] | None = None,
) -> Interval:
    """Return a measure of indices and its bootstrap interval, centred when bounds are given."""
    if not 0 < level < 1 or draws < 1:
        raise FewstepError(
            "a bootstrap needs a level in (0, 1) and at least one draw", got=f"{level}, {draws}"
        )
    if not count:
        return Interval(math.nan, math.nan, math.nan)
    value = measure(np.arange(count))
    rng = np.random.default_rng(seed)
    drawn = np.array([measure(rng.integers(count, size=count)) for _ in range(draws)])
    drawn = drawn[np.isfinite(drawn)]
    if not len(drawn) or not math.isfinite(value):
        return Interval(value, math.nan, math.nan)
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    if bounds is not None:
        shift = value - drawn.mean()
        low, high = np.clip([low + shift, high + shift], *bounds)
    return Interval(value, float(low), float(high))
