"""Verdicts on many comparisons at once: the more there are, the more each has to show."""

from collections.abc import Hashable, Mapping, Sequence
from typing import TypeVar

import numpy as np

from domains.evaluation.statistics.difference import Comparison, judged
from domains.evaluation.statistics.sets import Metric

__all__ = ["corrected", "holm"]

Key = TypeVar("Key", bound=Hashable)


def holm(values: Sequence[float]) -> list[float]:
    """Return p-values corrected for their number (Holm 1979, Scand. J. Statistics 6:65).

    With those below .05 called findings, the chance that any of them is false is at most 5 %,
    however the tests depend on each other. NaN, which nothing was tested for, stay and don't count.
    """
    found = np.asarray(values, dtype=float)
    order = np.argsort(found)  # NaN last
    tested = int(np.isfinite(found).sum())
    factors = np.maximum(tested - np.arange(len(found)), 1)
    found[order] = np.minimum(np.maximum.accumulate(factors * found[order]), 1.0)
    return found.tolist()


def corrected(family: Mapping[Key, tuple[Comparison, Metric]]) -> dict[Key, Comparison]:
    """Return comparisons with verdicts that hold for all of them together.

    Differences and equivalences are each corrected for their number. Intervals stay as they are.

    Args:
        family: Comparisons and the metrics that they are of.
    """
    comparisons = [one for one, _ in family.values()]
    different = holm([one.p_different for one in comparisons])
    equal = holm([one.p_equal for one in comparisons])
    return {
        key: judged(one, metric, *found)
        for (key, (one, metric)), *found in zip(family.items(), different, equal, strict=True)
    }
