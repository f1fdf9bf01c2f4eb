"""How far a set's samples are from its teacher's, beside how far both are from real data.

A student that copies its teacher is near to it, whatever the teacher is worth; one that is nearer
to real data than its teacher is has learnt something else.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float
from scipy.spatial.distance import cdist

from domains.evaluation.statistics.bootstrap import Interval
from domains.evaluation.statistics.comparison import best_set, primary_metric
from domains.evaluation.statistics.jackknife import all_but_one, jackknife_interval
from domains.evaluation.statistics.sets import EvaluationSet, Metric, of_role
from domains.files.provenance import named

__all__ = ["paired_energy_distance", "with_distances"]

_LEAST, _MOST = 10, 1000  # samples: fewer say nothing of a distribution, more cost their square
_KEYS = ["seed", "sample"]


def with_distances(
    sets: Sequence[EvaluationSet], metrics: Mapping[str, Metric]
) -> list[EvaluationSet]:
    """Add rows to each set's metrics: its distances to the teacher's samples.

    A metric that names ``columns`` is the energy distance of these columns of two sets' samples,
    each divided by the teacher's standard deviation; 0 is the same distribution, and the unit is
    that spread. The teacher is that of the headline. Samples of one number share their noise, so
    such pairs are left out of the mean between two sets.

    Args:
        sets: Evaluated sets.
        metrics: Those with ``columns`` are measured where the samples' tables have them.
    """
    teacher = best_set(of_role(sets, "teacher"), primary_metric(sets, metrics), metrics)
    asked = {name: metric.columns for name, metric in metrics.items() if metric.columns}
    return [
        one if teacher is None or one is teacher else _with(one, teacher, asked) for one in sets
    ]


def _with(
    one: EvaluationSet, teacher: EvaluationSet, asked: Mapping[str, Sequence[str]]
) -> EvaluationSet:
    rows = []
    for name, columns in asked.items():
        first, second = _points(one, columns), _points(teacher, columns)
        if first is None or second is None or one.metrics.empty:
            continue
        found = _distance(first, second)
        setting = one.metrics.iloc[0].to_dict()
        tool = (
            f"{named('fewstep')}, energy distance of {len(columns)} columns to {teacher.path.name}"
        )
        rows.append({**setting, "metric": name, **found._asdict(), "n": len(first), "tool": tool})
    return replace(one, metrics=pd.concat([one.metrics, pd.DataFrame(rows)])) if rows else one


def _points(one: EvaluationSet, columns: Sequence[str]) -> pd.DataFrame | None:
    """Return finite numbers of at most 1,000 samples by seed and number, or None of too few."""
    if not {*_KEYS, *columns} <= set(one.samples.columns):
        return None
    table = one.samples.drop_duplicates(_KEYS).set_index(_KEYS).loc[:, pd.Index(columns)]
    table = table.apply(pd.to_numeric, errors="coerce")
    places = np.flatnonzero(np.isfinite(table.to_numpy(float)).all(1))
    if len(places) > _MOST:
        places = places[np.linspace(0, len(places) - 1, _MOST).astype(int)]
    return table.iloc[places] if len(places) >= _LEAST else None


def _distance(first: pd.DataFrame, second: pd.DataFrame) -> Interval:
    scale = second.to_numpy(float).std(0) + 1e-9
    x, y = first.to_numpy(float) / scale, second.to_numpy(float) / scale
    same = np.equal.outer(first.index.to_numpy(), second.index.to_numpy())
    value = paired_energy_distance(x, y, same)
    # Groups of one number leave both sets together, where both have the samples.
    order = {key: k for k, key in enumerate(dict.fromkeys([*first.index, *second.index]))}
    places = [np.array([order[key] for key in one.index]) for one in (first, second)]
    without = []
    for kept in all_but_one(len(order), 0):
        rows, columns = (np.isin(place, kept) for place in places)
        part = same[np.ix_(rows, columns)]
        without.append(paired_energy_distance(x[rows], y[columns], part))
    return jackknife_interval(value, without)


def paired_energy_distance(
    x: Float[np.ndarray, "n d"], y: Float[np.ndarray, "m d"], same: Bool[np.ndarray, "n m"]
) -> float:
    """Return 2 E|X − Y| − E|X − X'| − E|Y − Y'| without pairs that belong together; NaN below two.

    Székely and Rizzo, Journal of Statistical Planning and Inference 143 (2013) 1249. No mean has a
    pair of a point with itself, nor with its partner, so equal distributions have 0 on average,
    whether points are paired or not.

    Args:
        x: Points.
        y: Points.
        same: Pairs of the two that are partners, such as samples of the same noise.
    """
    if min(len(x), len(y)) < 2:
        return math.nan

    def within(points: Float[np.ndarray, "k d"]) -> float:
        return float(cdist(points, points).sum()) / (len(points) * (len(points) - 1))

    return 2 * float(cdist(x, y)[~same].mean()) - within(x) - within(y)
