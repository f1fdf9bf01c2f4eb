"""Contract: differences are paired where samples share their noise; equal means within bounds."""

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from evaluation.report_files import METRICS, write_set

from domains.evaluation.statistics.comparison import headline
from domains.evaluation.statistics.difference import compare, difference
from domains.evaluation.statistics.sets import EvaluationSet, Metric, read_set

BOUNDED = Metric("Goodness", "", "higher", same_within=0.05)


def made(root: Path, name: str, value: tuple[float, float, float]) -> EvaluationSet:
    """A set of which the table of samples lacks the metric, so that nothing is paired."""
    path = write_set(root, name, "student")
    table = pd.read_csv(path / "set.csv")
    table.loc[table["metric"] == "good", ["value", "low", "high"]] = value
    table.to_csv(path / "set.csv", index=False)
    return read_set(path)


def sampled(root: Path, name: str, values: np.ndarray, role: str = "student", **facts) -> Path:
    """A set with one value of the metric a sample."""
    path = write_set(root, name, role, float(values.mean()), n=len(values), **facts)
    table = pd.read_csv(path / "samples.csv")
    table.assign(good=values).to_csv(path / "samples.csv", index=False)
    return path


def test_without_pairs_the_interval_is_of_both(tmp_path: Path) -> None:
    student = made(tmp_path, "s", (0.8, 0.77, 0.82))
    teacher = made(tmp_path, "t", (0.9, 0.86, 0.93))
    found = compare(student, teacher, "good", METRICS["good"])
    assert found.difference == pytest.approx(-0.1)
    assert found.low == pytest.approx(-0.1 - math.hypot(0.03, 0.03))
    assert found.high == pytest.approx(-0.1 + math.hypot(0.02, 0.04))
    assert found.verdict == "worse"
    assert compare(student, teacher, "good", Metric("", "", "lower")).verdict == "better"
    assert compare(student, teacher, "good", Metric("", "")).verdict == "n/a"


@pytest.mark.parametrize(
    ("value", "verdict"),
    [((0.89, 0.8, 0.95), "same"), ((math.nan,) * 3, "n/a"), ((0.8, math.nan, math.nan), "n/a")],
)
def test_what_is_not_told_apart_is_not_called_equal(tmp_path: Path, value, verdict: str) -> None:
    teacher = made(tmp_path, "t", (0.9, 0.86, 0.93))
    assert compare(made(tmp_path, "s", value), teacher, "good", BOUNDED).verdict == verdict


def test_pairs_cancel_what_samples_have_in_common(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    common, n = draw.normal(0.5, 0.2, 400), 400
    one = read_set(sampled(tmp_path, "a", common + draw.normal(0.01, 0.02, n)))
    two = read_set(sampled(tmp_path, "b", common + draw.normal(0.0, 0.02, n)))
    found = difference(one, two, "good")
    assert found.value == pytest.approx(one.estimate("good")[0] - two.estimate("good")[0])
    assert found.high - found.low < 4 * 2 * 0.03 / math.sqrt(n)
    assert found.low < 0.01 < found.high
    other = difference(two, one, "good")
    assert (-other.high, -other.low) == pytest.approx((found.low, found.high), abs=1e-3)
    assert compare(one, two, "good", BOUNDED).verdict == "equal"
    assert compare(one, two, "good", METRICS["good"]).verdict == "better"


def test_other_samples_are_not_paired(tmp_path: Path) -> None:
    values = np.linspace(0, 1, 30)
    one, two = (sampled(tmp_path, name, values) for name in "ab")
    table = pd.read_csv(two / "samples.csv")
    table.assign(sample=table["sample"] + 1).to_csv(two / "samples.csv", index=False)
    found = difference(read_set(one), read_set(two), "good")
    assert found.high == pytest.approx(math.hypot(0.02, 0.02))


def test_a_value_that_is_no_mean_of_the_samples_is_not_paired(tmp_path: Path) -> None:
    values = np.linspace(0, 1, 30)
    one, two = (sampled(tmp_path, name, values) for name in "ab")
    table = pd.read_csv(one / "set.csv")
    table.loc[table["metric"] == "good", ["value", "low", "high"]] = [0.7, 0.6, 0.8]
    table.to_csv(one / "set.csv", index=False)
    found = difference(read_set(one), read_set(two), "good")
    assert found.value == pytest.approx(0.2) and found.high > 0.3


def test_the_headline_says_what_is_equal(tmp_path: Path) -> None:
    values = np.random.default_rng(1).normal(0.5, 0.2, 100)
    paths = [
        sampled(tmp_path, "t", values, "teacher", steps=40, seconds=10.0),
        sampled(tmp_path, "s", values + 0.004, "student", seconds=1.0),
    ]
    said = headline(
        [read_set(path) for path in paths],
        {"good": BOUNDED, "size": Metric("Size", "", same_within=1.0)},
    )
    assert "equals its teacher on Goodness (" in said
    assert ", equals it on Size, and is 10 times faster." in said
