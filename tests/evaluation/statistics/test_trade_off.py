"""Contract: the front holds what nothing beats, and the recommendation follows its rule."""

from pathlib import Path

import pandas as pd
import pytest
from evaluation.report_files import METRICS, write_set

from domains.evaluation.report.sections import set_styles
from domains.evaluation.statistics.sets import EvaluationSet, Metric, read_set
from domains.evaluation.statistics.trade_off import front, recommendation, trade_panels

NAN = float("nan")


@pytest.mark.parametrize(
    ("costs", "merits", "kept"),
    [
        ([1, 2, 3], [1, 2, 3], [0, 1, 2]),
        ([1, 2, 3], [3, 2, 1], [0]),
        ([2, 1, 2], [5, 1, 4], [1, 0]),
        ([1, 1], [1, 2], [1]),
        ([NAN, 1, 2], [9, NAN, 1], [2]),
        ([3, NAN, 1], [1, 1, 0], [2, 0]),
        ([], [], []),
    ],
)
def test_front(costs: list[float], merits: list[float], kept: list[int]) -> None:
    assert front(costs, merits) == kept


def sets(root: Path, *given: tuple[str, str, float, float]) -> list[EvaluationSet]:
    """Sets of (name, role, goodness, seconds), a tight interval around each goodness."""
    found = []
    for name, role, good, seconds in given:
        steps = 400 if role == "teacher" else 8
        path = write_set(root, name, role, good, steps=steps, seconds=seconds, label=name)
        table = pd.read_csv(path / "set.csv")
        rows = table["metric"] == "good"
        table.loc[rows, ["value", "low", "high"]] = [good, good - 0.02, good + 0.02]
        table.to_csv(path / "set.csv", index=False)
        found.append(read_set(path))
    return found


TEACHER = ("Teacher", "teacher", 0.9, 10.0)


def test_the_fastest_that_is_not_worse_is_taken(tmp_path: Path) -> None:
    few = [
        ("slow", "student", 0.95, 2.0),
        ("equal", "student", 0.89, 1.0),
        ("worse", "student", 0.6, 0.1),
        ("naive", "teacher_naive", 0.89, 1.5),
    ]
    said = recommendation(sets(tmp_path, TEACHER, *few), METRICS)
    assert said.startswith("equal (1 s a sample): the fastest") and "than Teacher" in said


def test_a_free_setting_can_win(tmp_path: Path) -> None:
    few = [("student", "student", 0.89, 1.0), ("naive", "teacher_naive", 0.9, 0.5)]
    assert recommendation(sets(tmp_path, TEACHER, *few), METRICS).startswith("naive (0.500 s")


def test_where_all_are_worse_the_best_is_named_as_that(tmp_path: Path) -> None:
    few = [("a", "student", 0.5, 1.0), ("b", "student", 0.7, 2.0)]
    said = recommendation(sets(tmp_path, TEACHER, *few), METRICS)
    assert said.startswith("b (2 s") and "every few-step setting worse" in said


def test_other_metrics_that_are_worse_are_said(tmp_path: Path) -> None:
    teacher, student = sets(tmp_path, TEACHER, ("s", "student", 0.9, 1.0))
    far = student.metrics["metric"] == "far"
    student.metrics.loc[far, ["value", "low", "high"]] = [9.0, 8.9, 9.1]
    assert recommendation([teacher, student], METRICS).endswith("It is worse on: Distance.")


def test_nothing_to_compare_is_no_recommendation(tmp_path: Path) -> None:
    assert recommendation(sets(tmp_path / "a", TEACHER), METRICS) == ""
    assert recommendation(sets(tmp_path / "b", ("s", "student", 0.5, 1.0)), METRICS) == ""


def test_panels_are_of_time_and_of_each_diversity(tmp_path: Path) -> None:
    found = sets(tmp_path, TEACHER, ("s", "student", 0.8, 1.0), ("n", "teacher_naive", 0.7, 2.0))
    diverse = {**METRICS, "far": Metric("Distance", "As if.", "higher", diversity=True)}
    panels = trade_panels(found, set_styles(found), diverse)
    assert [panel["against"] for panel in panels] == ["seconds a sample", "Distance"]
    assert [one.label for one in panels[0]["front"]] == ["s", "Teacher"]
    assert panels[0]["svg"].count("<circle") == 3
    assert trade_panels(found[:1], set_styles(found), METRICS) == []


def test_a_teacher_that_was_not_measured_is_no_judge(tmp_path: Path) -> None:
    teacher, student = sets(tmp_path, TEACHER, ("s", "student", 0.9, 1.0))
    teacher.metrics.loc[teacher.metrics["metric"] == "good", ["low", "high"]] = NAN
    assert recommendation([teacher, student], {"good": METRICS["good"]}) == ""
