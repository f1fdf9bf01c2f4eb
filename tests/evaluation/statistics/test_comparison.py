"""Contract: the verdict follows the interval of the difference, and the headline is honest.

It says so when the student is worse or slower, or when a number is missing.
"""

import json
import math
from pathlib import Path

import pandas as pd
import pytest
from evaluation.report_files import METRICS, write_set

from domains.evaluation.statistics.comparison import cautions, headline, student_rows
from domains.evaluation.statistics.sets import read_set


def _say(*paths: Path) -> str:
    return headline([read_set(path) for path in paths], METRICS)


@pytest.mark.parametrize(
    ("good", "seconds", "words"),
    [
        (
            0.70,
            0.5,
            "is worse than its teacher on Goodness (0.700 against 0.900), but is 20 times faster",
        ),
        (
            0.89,
            0.5,
            "can't be told apart from its teacher on Goodness (0.890 against 0.900), "
            "and is 20 times faster",
        ),
        (0.99, 0.5, "is better than its teacher"),
        (0.99, 20.0, ", but is 2 times slower"),
        (0.70, 20.0, ", and is 2 times slower"),
        (math.nan, 0.5, "can't be compared with its teacher on Goodness (n/a against 0.900)"),
        (0.99, None, "its speed-up is n/a"),
    ],
)
def test_headline_is_honest(tmp_path: Path, good: float, seconds: float | None, words: str) -> None:
    teacher = write_set(tmp_path, "t", "teacher", 0.9, steps=400, seconds=10.0)
    student = write_set(tmp_path, "s", "student", good, seconds=seconds)
    assert words in _say(teacher, student)


def test_headline_takes_the_best_student_and_says_what_is_absent(tmp_path: Path) -> None:
    teacher = write_set(tmp_path, "t", "teacher", 0.9, steps=400)
    few = write_set(tmp_path, "s1", "student", 0.5, steps=1)
    more = write_set(tmp_path, "s8", "student", 0.8, steps=8)
    assert _say(few, teacher, more).startswith("The 8-step student is worse")
    assert "No student" in _say(teacher) and "No teacher" in _say(few)


def test_a_metric_that_is_zero_for_all_is_no_merit(tmp_path: Path) -> None:
    paths = [
        write_set(tmp_path, "t", "teacher", steps=400, seconds=10.0, far=2.0),
        write_set(tmp_path, "s", "student", seconds=0.5, far=4.0),
    ]
    for path in paths:
        table = pd.read_csv(path / "set.csv")
        table.loc[table["metric"] == "good", ["value", "low", "high"]] = 0.0
        table.to_csv(path / "set.csv", index=False)
    said = _say(*paths)
    assert "Goodness" not in said and "worse than its teacher on Distance" in said
    notes = cautions([read_set(path) for path in paths], METRICS)
    assert any("Goodness is 0 for every sample" in note for note in notes)


def test_samples_that_were_not_measured_are_counted(tmp_path: Path) -> None:
    path = write_set(tmp_path, "s", "student", label="A student", n=500)
    facts = json.loads((path / "set.json").read_text())
    (path / "set.json").write_text(json.dumps({**facts, "made": 1997, "skipped": 3}))
    notes = " ".join(cautions([read_set(path)], METRICS))
    assert "A student: 500 of 1,997 samples, drawn at random, were measured." in notes
    assert "A student: 3 could not be made; samples/s/skipped.csv." in notes
    complete = write_set(tmp_path, "t", "student", label="Another", n=500)
    assert "Another" not in " ".join(cautions([read_set(complete)], METRICS))


def test_a_share_that_is_none_for_all_is_no_merit_whatever_its_interval(tmp_path: Path) -> None:
    paths = [
        write_set(tmp_path, "t", "teacher", steps=400, seconds=10.0, far=2.0),
        write_set(tmp_path, "s", "student", seconds=0.5, far=4.0),
    ]
    for path in paths:
        table = pd.read_csv(path / "set.csv")
        table.loc[table["metric"] == "good", ["value", "low", "high"]] = [0.0, 0.0, 0.11]
        table.to_csv(path / "set.csv", index=False)
    assert "worse than its teacher on Distance" in _say(*paths)


def test_measures_of_fewer_samples_are_named(tmp_path: Path) -> None:
    path = write_set(tmp_path, "s", "student", label="A student", n=500)
    table = pd.read_csv(path / "set.csv")
    table.loc[table["metric"] == "good", "n"] = 100
    table.to_csv(path / "set.csv", index=False)
    notes = cautions([read_set(path)], METRICS)
    assert "A student: of 100 samples: Goodness." in notes
    assert not any("Distance" in note for note in notes)


def test_verdicts_of_the_table_hold_together(tmp_path: Path) -> None:
    """One student of eight is better by a p-value of .02, which eight students give by chance."""
    teacher = read_set(write_set(tmp_path, "t", "teacher", 0.5, steps=400))
    students = []
    for k in range(8):
        path = write_set(tmp_path, f"s{k}", "student", 0.5)
        table = pd.read_csv(path / "set.csv")
        value = 0.75 if not k else 0.5
        table.loc[table["metric"] == "good", ["value", "low", "high"]] = [
            value,
            value - 0.2,
            value + 0.2,
        ]
        table.to_csv(path / "set.csv", index=False)
        students.append(read_set(path))
    only = {"good": METRICS["good"]}
    (alone,) = student_rows([teacher, students[0]], only)
    assert alone["primary"].verdict == "better" and alone["primary"].p_different < 0.05
    rows = student_rows([teacher, *students], only)
    assert {row["primary"].verdict for row in rows} == {"same"}
    assert rows[0]["primary"].low == alone["primary"].low
