"""Shares of samples, such as those that pass, and their intervals.

A bootstrap of ones and zeros has no width where all agree: of 0 passes in 32 it says [0, 0].
"""

import math
from statistics import NormalDist

import numpy as np
from jaxtyping import Float

from domains.errors import FewstepError
from domains.evaluation.statistics.bootstrap import Interval

__all__ = ["phi", "wilson"]


def wilson(values: Float[np.ndarray, " n"], level: float = 0.95) -> Interval:
    """Return the share of ones and its score interval (Wilson 1927, JASA 22:209).

    Recommended for few samples by Brown, Cai and DasGupta 2001, Statistical Science 16:101: its
    coverage is near the level for any share, and it has a width where all values agree: 0 of 32
    gives [0, .11].

    Args:
        values: 1 or 0, one per independent sample; none gives NaN.
        level: Share of intervals that should hold the true share.

    Raises:
        FewstepError: A value is neither 0 nor 1.
    """
    count = len(values)
    if not np.isin(values, (0, 1)).all():
        raise FewstepError(
            "a share has values that are neither 0 nor 1", got=values[~np.isin(values, (0, 1))][0]
        )
    if not count:
        return Interval(math.nan, math.nan, math.nan)
    share, z = float(values.mean()), NormalDist().inv_cdf((1 + level) / 2)
    middle = (share + z * z / (2 * count)) / (1 + z * z / count)
    half = z * math.sqrt(share * (1 - share) / count + (z / (2 * count)) ** 2) / (1 + z * z / count)
    # At 0 and 1 the ends are exact, whatever the rounding.
    return Interval(share, min(share, max(0.0, middle - half)), max(share, min(1.0, middle + half)))


def phi(first: Float[np.ndarray, " n"], second: Float[np.ndarray, " n"]) -> float:
    """Return the correlation of paired ones and zeros, as Newcombe's interval takes it.

    With his continuity correction, towards 0, where it is positive; 0 where one of the two does
    not vary. Newcombe 1998, Statistics in Medicine 17:2635, method 10.
    """
    count, both = len(first), float(first @ second)
    hits = float(first.sum()), float(second.sum())
    product = math.prod(hits) * math.prod(count - one for one in hits)
    if not product:
        return 0.0
    odds = both * (count - sum(hits) + both) - (hits[0] - both) * (hits[1] - both)
    odds = max(odds - count / 2, 0.0) if odds > 0 else odds
    return odds / math.sqrt(product)
