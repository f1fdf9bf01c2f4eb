"""Contract: differences are paired where samples share their noise; equal means within bounds."""

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from evaluation.report_files import METRICS, write_set

from domains.evaluation.statistics.comparison import headline
from domains.evaluation.statistics.difference import compare, difference
from domains.evaluation.statistics.sets import EvaluationSet, Metric, bounded, read_set
from domains.evaluation.statistics.shares import wilson

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


def shares(root: Path, hits: tuple[list[int], list[int]]) -> list[EvaluationSet]:
    """Two sets of a share, with Wilson's intervals."""
    sets = []
    for name, ones in zip("ab", hits, strict=True):
        path = sampled(root, name, np.array(ones, dtype=float))
        table = pd.read_csv(path / "set.csv")
        table.loc[table["metric"] == "good", ["value", "low", "high"]] = list(
            wilson(np.array(ones, float))
        )
        table.to_csv(path / "set.csv", index=False)
        sets.append(read_set(path))
    return sets


def test_none_against_none_is_not_equal(tmp_path: Path) -> None:
    one, two = shares(tmp_path, ([0] * 32, [0] * 32))
    found = compare(one, two, "good", BOUNDED)
    assert (found.difference, found.verdict) == (0.0, "same")
    assert -found.low == pytest.approx(found.high) and found.high == pytest.approx(0.107, abs=1e-3)


def test_paired_shares_have_newcombes_interval(tmp_path: Path) -> None:
    """His method 10 by hand: 48 and 38 of 50, phi = −24 / sqrt(48 · 2 · 38 · 12) = −.115."""
    cells = [(1, 1)] * 36 + [(1, 0)] * 12 + [(0, 1)] * 2
    one, two = shares(tmp_path, tuple(map(list, zip(*cells, strict=True))))
    found = difference(one, two, "good")
    assert found == pytest.approx((0.20, 0.0569, 0.3404), abs=1e-4)


def test_samples_that_neither_set_was_measured_of_are_no_pairs(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    common = draw.normal(0.5, 0.2, 60)
    kept = np.arange(60) < 40
    sets = []
    for name, shift in (("a", 0.01), ("b", 0.0)):
        values = np.where(kept, common + shift, np.nan)
        path = sampled(tmp_path, name, values)
        table = pd.read_csv(path / "set.csv")
        value = values[kept].mean()
        table.loc[table["metric"] == "good", ["value", "low", "high"]] = [
            value,
            value - 1,
            value + 1,
        ]
        table.to_csv(path / "set.csv", index=False)
        sets.append(read_set(path))
    assert difference(sets[0], sets[1], "good") == pytest.approx((0.01, 0.01, 0.01))


def test_p_values_are_those_of_the_interval(tmp_path: Path) -> None:
    teacher = made(tmp_path, "t", (0.9, 0.9, 0.9))
    for name, value, low, high in (("lower", 0.8, 0.7, 0.9), ("higher", 0.95, 0.9, 1.0)):
        edge = compare(made(tmp_path, name, (value, low, high)), teacher, "good", BOUNDED)
        assert edge.p_different == pytest.approx(0.05) and edge.p_equal > 0.05
    inside = compare(made(tmp_path, "edge", (0.91, 0.87, 0.95)), teacher, "good", BOUNDED)
    assert inside.p_equal == pytest.approx(0.05) and inside.p_different > 0.05
    assert (
        compare(made(tmp_path, "inside", (0.91, 0.871, 0.949)), teacher, "good", BOUNDED).verdict
        == "equal"
    )


def test_many_students_have_to_show_more(tmp_path: Path) -> None:
    """The best of five: .01 would do for one, not for five."""
    path = write_set(tmp_path, "t", "teacher", 0.5, steps=40, seconds=10.0)
    teacher = read_set(path)
    students = [made(tmp_path, f"s{k}", (0.74, 0.54, 0.94)) for k in range(5)]
    alone, (several, *_) = (
        headline([teacher, *some], {"good": METRICS["good"]}).split(" (")
        for some in (students[:1], students)
    )
    assert "is better than its teacher" in alone[0]
    assert "can't be told apart from its teacher" in several


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


def test_bounds_of_the_settings_take_the_place_of_the_fields() -> None:
    found = bounded({"good": BOUNDED, "other": BOUNDED}, {"good": 0.2})
    assert (found["good"].same_within, found["other"].same_within) == (0.2, 0.05)
    assert bounded({"good": BOUNDED}, {"good": 0.0})["good"].same_within == 0


@pytest.mark.parametrize(("seconds", "end"), [(1.0, "it is 10 times faster."), (None, "speed-up.")])
def test_too_few_samples_are_said_to_be_few(
    tmp_path: Path, seconds: float | None, end: str
) -> None:
    """Neither a difference nor equality: nothing that sounds like either."""
    rng = np.random.default_rng(1)
    paths = [
        sampled(tmp_path, "t", rng.normal(0.7, 0.4, 8), "teacher", steps=40, seconds=10.0),
        sampled(tmp_path, "s", rng.normal(0.5, 0.4, 8), "student", seconds=seconds),
    ]
    said = headline([read_set(path) for path in paths], {"good": BOUNDED})
    assert said.startswith("8 samples are too few to tell the 4-step student from its teacher on")
    assert said.endswith(end)
