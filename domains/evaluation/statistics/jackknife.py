"""Intervals of measures that a bootstrap would bias: leave one group out at a time."""

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Int
from scipy.special import stdtrit

from domains.evaluation.statistics.bootstrap import Interval

__all__ = ["all_but_one", "jackknife_interval"]


def all_but_one(count: int, seed: int, groups: int = 10) -> list[Int[np.ndarray, " _"]]:
    """Return, per group of a random partition, the rows outside it.

    Args:
        count: Number of rows.
        seed: Of the partition.
        groups: Number of groups; fewer where there are fewer rows.
    """
    order = np.random.default_rng(seed).permutation(count)
    parts = np.array_split(order, min(groups, count))
    return [np.sort(np.setdiff1d(order, part)) for part in parts]


def jackknife_interval(value: float, without: Sequence[float], level: float = 0.95) -> Interval:
    """Return a value with its delete-a-group jackknife interval (Kott 2001).

    For distances between distributions: a bootstrap sample holds copies, and so lies farther
    from the reference than the samples it is drawn from.

    Args:
        value: Of all samples.
        without: The same measure without each group; NaN intervals below two.
        level: Share of intervals that should hold the true value.
    """
    groups = len(without)
    if groups < 2:
        return Interval(value, math.nan, math.nan)
    spread = np.asarray(without, dtype=np.float64)
    error = math.sqrt((groups - 1) / groups * float(((spread - spread.mean()) ** 2).sum()))
    half = float(stdtrit(groups - 1, (1 + level) / 2)) * error
    return Interval(value, value - half, value + half)
