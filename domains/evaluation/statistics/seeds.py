"""A value over several seeds of a training, with the luck of seeds and of samples."""

import math
from statistics import NormalDist

import numpy as np
from jaxtyping import Float
from scipy.special import stdtrit

from domains.evaluation.statistics.bootstrap import Interval

__all__ = ["over_seeds"]


def over_seeds(estimates: Float[np.ndarray, "k 3"], level: float = 0.95) -> Interval:
    """Return the mean over seeds and its interval, for another seed and other samples.

    Two levels, crossed, because all seeds are sampled from the same noise: the variance of the
    mean is that between the seeds' values over their number, plus that within a seed, which more
    seeds don't lessen. Student's t with the degrees of freedom of Satterthwaite (1946, Biometrics
    Bulletin 2:110), so that two or three seeds say little unless they agree. One seed has its own
    interval, of samples alone.

    Args:
        estimates: Value, low and high of each seed, the interval of ``level`` over samples; seeds
            whose value is NaN are left out.
        level: Share of intervals that should hold the true value.
    """
    known = estimates[np.isfinite(estimates[:, 0])]
    if not len(known):
        return Interval(math.nan, math.nan, math.nan)
    value, seeds = float(known[:, 0].mean()), len(known)
    if seeds == 1:
        return Interval(*map(float, known[0]))
    errors = (known[:, 2] - known[:, 1]) / (2 * NormalDist().inv_cdf((1 + level) / 2))
    between, within = float(known[:, 0].var(ddof=1)) / seeds, float((errors**2).mean())
    if not between + within > 0:
        return Interval(value, value + within, value + within)  # no width, or NaN
    freedom = (between + within) ** 2 / between**2 * (seeds - 1) if between else math.inf
    half = float(stdtrit(freedom, (1 + level) / 2)) * math.sqrt(between + within)
    return Interval(value, value - half, value + half)
