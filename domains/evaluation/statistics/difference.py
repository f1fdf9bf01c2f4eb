"""The difference of two sets on one measure, its interval, and what it says."""

import math
from dataclasses import dataclass
from typing import Literal, cast

import numpy as np
import pandas as pd

from domains.evaluation.statistics.bootstrap import Interval, bootstrap_interval
from domains.evaluation.statistics.sets import EvaluationSet, Metric

__all__ = ["Comparison", "Verdict", "compare", "difference"]

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
    """

    difference: float
    low: float
    high: float
    verdict: Verdict


def compare(
    student: EvaluationSet, teacher: EvaluationSet, name: str, metric: Metric
) -> Comparison:
    """Compare two sets on one of their metrics."""
    found = difference(student, teacher, name)
    return Comparison(*found, verdict=_verdict(found, metric))


def _verdict(found: Interval, metric: Metric) -> Verdict:
    _, low, high = found
    if not all(map(math.isfinite, found)):
        return "n/a"
    if metric.same_within and max(-low, high) < metric.same_within:
        return "equal"
    if metric.better == "none":
        return "n/a"
    if low > 0 or high < 0:
        return "better" if (low > 0) == (metric.better == "higher") else "worse"
    return "same"


def difference(student: EvaluationSet, teacher: EvaluationSet, name: str) -> Interval:
    """Return the difference of a metric, student minus teacher, with its 95 % interval.

    Samples of one number share their noise. Where both sets have all of the same ones and the
    metric is their mean, the interval is that of the mean of their differences (bootstrap over
    the pairs), so what they have in common cancels. Else it is built from the two single ones.
    """
    return _paired(student, teacher, name) or _unpaired(
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
    pairs = (first - second.reindex(first.index)).to_numpy()
    means = [one.estimate(name)[0] for one in (student, teacher)]
    same = np.allclose([first.mean(), second.mean()], means, rtol=1e-6, atol=1e-9)
    return bootstrap_interval(pairs) if np.isfinite(pairs).all() and same else None


def _numbers(table: pd.DataFrame, name: str) -> pd.Series:
    """Return a column's numbers by seed and sample; NaN for what is none."""
    column = cast(pd.Series, table.set_index(["seed", "sample"])[name])
    return cast(pd.Series, pd.to_numeric(column, errors="coerce"))


def _unpaired(student: tuple[float, float, float], teacher: tuple[float, float, float]) -> Interval:
    """Build the interval from those of two values (MOVER).

    Zou and Donner 2008, Statistics in Medicine 27:1693, eq. 7, which needs no symmetric errors:
    low = d − sqrt((s − s_low)² + (t_high − t)²), and the mirror image for high.
    """
    (s, s_low, s_high), (t, t_low, t_high) = student, teacher
    low = s - t - math.hypot(s - s_low, t_high - t)
    high = s - t + math.hypot(s_high - s, t - t_low)
    return Interval(s - t, low, high)
