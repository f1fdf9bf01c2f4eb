"""The difference of two sets on one measure, its interval, and what it says."""

import math
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import Literal, cast

import numpy as np
import pandas as pd

from domains.evaluation.statistics.bootstrap import Interval, bootstrap_interval
from domains.evaluation.statistics.sets import EvaluationSet, Metric
from domains.evaluation.statistics.shares import phi

__all__ = ["Comparison", "Verdict", "compare", "difference", "judged"]

_LEVEL = 0.05
_DEVIATIONS = NormalDist().inv_cdf(1 - _LEVEL / 2)  # half a 95 % interval

Verdict = Literal["better", "equal", "same", "worse", "n/a"]


@dataclass(frozen=True)
class Comparison:
    """Student minus teacher for one metric.

    Attributes:
        difference: Student value minus teacher value.
        low: Lower end of its 95 % interval.
        high: Upper end of its 95 % interval.
        verdict: In the student's eyes. "equal" is an equivalence test: the whole interval is
            within the metric's bounds. "same" means not distinguishable, which too few samples
            give as well; "n/a" not comparable.
        p_different: Of no difference; below .05 where the interval leaves out 0. NaN: not tested.
        p_equal: Of a difference at or beyond the bounds, twice the larger of two one-sided tests
            (Schuirmann 1987, J. Pharmacokin. Biopharm. 15:657); below .05 where the interval is
            within the bounds. NaN: there are none.
    """

    difference: float
    low: float
    high: float
    verdict: Verdict
    p_different: float = math.nan
    p_equal: float = math.nan


def compare(
    student: EvaluationSet, teacher: EvaluationSet, name: str, metric: Metric
) -> Comparison:
    """Compare two sets on one of their metrics, as if it were the only comparison."""
    found = difference(student, teacher, name)
    if not all(map(math.isfinite, found)):
        return Comparison(*found, "n/a")
    different = math.nan if metric.better == "none" else 2 * _beyond(found, 0.0)
    bound, equal = metric.same_within, math.nan
    if bound:
        within = abs(found.value) < bound
        equal = 2 * max(_beyond(found, -bound), _beyond(found, bound)) if within else 1.0
    return judged(Comparison(*found, "n/a", different, equal), metric, different, equal)


def judged(found: Comparison, metric: Metric, different: float, equal: float) -> Comparison:
    """Return a comparison with the verdict of these p-values, its own or corrected ones."""
    verdict: Verdict = "same"
    if equal < _LEVEL:
        verdict = "equal"
    elif metric.better == "none" or not math.isfinite(found.p_different):
        verdict = "n/a"
    elif different < _LEVEL:
        verdict = "better" if (found.difference > 0) == (metric.better == "higher") else "worse"
    return replace(found, verdict=verdict)


def _beyond(found: Interval, place: float) -> float:
    """Return the one-sided p-value of a true difference at or beyond a place.

    The one that belongs to a 95 % interval: .025 for a place at its end (Altman and Bland 2011,
    BMJ 343:d2304, each side by its own half).
    """
    away = abs(found.value - place)
    half = found.value - found.low if place < found.value else found.high - found.value
    if not away:
        return 0.5
    return NormalDist().cdf(-_DEVIATIONS * away / half) if half > 0 else 0.0


def difference(student: EvaluationSet, teacher: EvaluationSet, name: str) -> Interval:
    """Return the difference of a metric, student minus teacher, with its 95 % interval.

    Samples of one number share their noise. Where both sets have all of the same ones and the
    metric is their mean, what they have in common cancels: the interval is that of the mean of
    their differences (bootstrap over the pairs), or for shares Newcombe's, which has a width where
    all samples agree. Else it is built from the two single ones. Samples that neither set has the
    metric of, because they were not drawn for it, are no pairs.
    """
    return _paired(student, teacher, name) or _of_two(
        student.estimate(name), teacher.estimate(name)
    )


def _paired(student: EvaluationSet, teacher: EvaluationSet, name: str) -> Interval | None:
    tables = [one.samples for one in (student, teacher)]
    if not all({"sample", "seed", name} <= set(table.columns) for table in tables):
        return None
    first, second = (_numbers(table, name) for table in tables)
    if not (first.index.is_unique and second.index.is_unique and len(first) > 1):
        return None
    if set(first.index) != set(second.index):
        return None
    one, two = first.to_numpy(float), second.reindex(first.index).to_numpy(float)
    known = ~(np.isnan(one) & np.isnan(two))
    one, two = one[known], two[known]
    if len(one) < 2 or not np.isfinite(one - two).all():
        return None
    ours, theirs = student.estimate(name), teacher.estimate(name)
    if not np.allclose([one.mean(), two.mean()], [ours[0], theirs[0]], rtol=1e-6, atol=1e-9):
        return None
    if np.isin([one, two], (0, 1)).all():
        return _of_two(ours, theirs, phi(one, two))
    return bootstrap_interval(one - two)


def _numbers(table: pd.DataFrame, name: str) -> pd.Series:
    """Return a column's numbers by seed and sample; NaN for what is none."""
    column = cast(pd.Series, table.set_index(["seed", "sample"])[name])
    return cast(pd.Series, pd.to_numeric(column, errors="coerce"))


def _of_two(
    student: tuple[float, float, float],
    teacher: tuple[float, float, float],
    correlation: float = 0.0,
) -> Interval:
    """Build the interval from those of two values and their correlation (MOVER).

    Zou and Donner 2008, Statistics in Medicine 27:1693, eq. 7, and with the correlation r their
    form for paired estimates, which need no symmetric errors:
    low = d − sqrt((s − s_low)² + (t_high − t)² − 2 r (s − s_low)(t_high − t)), and the mirror
    image for high. With Wilson's intervals of two shares and their ``phi`` that is
    Newcombe's (Statistics in Medicine 17 (1998) 2635, method 10).
    """
    (s, s_low, s_high), (t, t_low, t_high) = student, teacher

    def spread(a: float, b: float) -> float:
        return math.sqrt(max(a * a + b * b - 2 * correlation * a * b, 0.0))

    return Interval(
        s - t, s - t - spread(s - s_low, t_high - t), s - t + spread(s_high - s, t - t_low)
    )
