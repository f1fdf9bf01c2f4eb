"""Contract: for a mean, the jackknife's interval is Student's; groups part the rows."""

import math

import numpy as np
import pytest
from scipy import stats

from domains.evaluation.statistics.jackknife import all_but_one, jackknife_interval


def test_groups_part_the_rows() -> None:
    kept = all_but_one(23, seed=3)
    assert len(kept) == 10
    left_out = [np.setdiff1d(np.arange(23), rows) for rows in kept]
    assert sorted(np.concatenate(left_out).tolist()) == list(range(23))
    assert all(np.array_equal(a, b) for a, b in zip(kept, all_but_one(23, seed=3), strict=True))
    assert len(all_but_one(4, seed=0)) == 4


def test_a_mean_has_students_interval() -> None:
    values = np.random.default_rng(0).standard_normal(12)
    found = jackknife_interval(
        values.mean(), [values[rows].mean() for rows in all_but_one(12, 0, groups=12)]
    )
    low, high = stats.t.interval(0.95, 11, values.mean(), stats.sem(values))
    assert (found.low, found.high) == (pytest.approx(low), pytest.approx(high))


def test_one_row_has_no_interval() -> None:
    found = jackknife_interval(1.0, [1.0])
    assert found.value == 1 and math.isnan(found.low) and math.isnan(found.high)
