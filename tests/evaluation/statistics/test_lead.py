"""Contract: the report begins with what matters most to its reader.

What no model made and is better comes first; without anything to judge by, what was done; and a
teacher of few steps is a teacher.
"""

import json
from pathlib import Path

import pandas as pd
import pytest
from evaluation.report_files import METRICS, write_set

from domains.evaluation.report.build import build_report
from domains.evaluation.statistics.lead import lead, with_teacher
from domains.evaluation.statistics.sets import Metric, all_metrics, read_set

COSTS = {
    "seconds": Metric("Seconds", "Time.", "lower"),
    "memory_gb": Metric("Memory", "Most.", "lower"),
}
SCANS = ("scan completed", "scans completed")


def say(*paths: Path, metrics: dict[str, Metric] = METRICS) -> str:
    sets = [read_set(path) for path in paths]
    return lead(sets, all_metrics(sets, metrics), metrics, SCANS)


@pytest.mark.parametrize(
    ("floor", "said"),
    [
        (
            0.97,
            "“Nothing done”, which no model made, is better than the 4-step student on Goodness",
        ),
        (0.80, "“Nothing done”, which no model made, can't be told apart from the 4-step student"),
        (0.50, "The 4-step student is better than its teacher"),
    ],
)
def test_what_does_nothing_and_is_better_is_named_first(
    tmp_path: Path, floor: float, said: str
) -> None:
    paths = [
        write_set(tmp_path, "t", "teacher", 0.6, steps=400, seconds=10.0),
        write_set(tmp_path, "s", "student", 0.8, steps=4, seconds=0.5),
        write_set(tmp_path, "d", "decoys", floor, steps=None, seconds=None, label="Nothing done"),
    ]
    found = say(*paths)
    assert found.startswith(said)
    assert "The 4-step student is better than its teacher on Goodness" in found


def test_the_teacher_alone_is_held_to_the_floor_too(tmp_path: Path) -> None:
    teacher = write_set(tmp_path, "t", "teacher", 0.6, steps=400, seconds=10.0)
    floor = write_set(tmp_path, "d", "decoys", 0.9, steps=None, seconds=None, label="Scan")
    said = say(teacher, floor)
    assert "“Scan”, which no model made, is better than the 400-step teacher" in said
    assert "No student was evaluated" in said


def only_costs(path: Path, seconds: float, made: int) -> Path:
    """Leave nothing of a set but what its samples cost."""
    table = pd.read_csv(path / "set.csv").head(1).assign(metric="seconds", value=seconds)
    table.to_csv(path / "set.csv", index=False)
    facts = json.loads((path / "set.json").read_text())
    (path / "set.json").write_text(json.dumps({**facts, "made": made}))
    return path


@pytest.mark.parametrize(
    ("made", "said"), [(1, "1 scan completed, 2.7"), (2, "2 scans completed, 2.7")]
)
def test_without_truth_it_says_what_was_done(tmp_path: Path, made: int, said: str) -> None:
    path = only_costs(write_set(tmp_path, "s", "student", seconds=2.7), 2.7, made)
    found = say(path, metrics={**METRICS, **COSTS})
    assert found.startswith(said) and found.endswith(" s each; no ground truth.")
    slow = only_costs(write_set(tmp_path, "t", "teacher", seconds=50.0), 50.0, made)
    found = say(path, slow, metrics={**METRICS, **COSTS})
    assert "by each of 2 sets, 2.7" in found and "to 50" in found


def test_costs_are_no_quality(tmp_path: Path) -> None:
    """Even if nothing else tells sets apart."""
    paths = [
        write_set(tmp_path, "t", "teacher", steps=400, seconds=10.0),
        write_set(tmp_path, "s", "student", seconds=0.5),
    ]
    for path in paths:
        table = pd.read_csv(path / "set.csv")
        table[["value", "low", "high"]] = 0.0
        cost = table.head(1).assign(metric="seconds", value=float(path.name == "t"))
        pd.concat([table, cost]).to_csv(path / "set.csv", index=False)
    assert "Seconds" not in say(*paths, metrics={**METRICS, **COSTS})


def few_steps(path: Path, sampler: str) -> Path:
    facts = json.loads((path / "set.json").read_text())
    (path / "set.json").write_text(json.dumps({**facts, "sampler": sampler}))
    return path


def test_a_teacher_of_few_steps_is_compared_with_if_there_is_no_other(tmp_path: Path) -> None:
    """Its own sampler, of most steps; the students' sampler is none of its own."""
    student = write_set(tmp_path, "s", "student", 0.8, steps=4, seconds=0.5)
    naive = few_steps(write_set(tmp_path, "n", "teacher_naive", 0.9, steps=4), "renoise")
    assert "No teacher with its own sampler was evaluated" in say(student, naive)
    others = [
        few_steps(write_set(tmp_path, f"t{n}", "teacher_naive", 0.7, steps=n, seconds=2.0), "sde")
        for n in (20, 10)
    ]
    build_report([student, naive, *others], tmp_path / "r.html", title="t", metrics=METRICS)
    text = (tmp_path / "r.html").read_text()
    assert "The 4-step student is better than its teacher on Goodness" in text
    assert "students are compared with t20, of 20 steps" in " ".join(text.split())
    full = write_set(tmp_path, "t", "teacher", 0.9, steps=400)
    assert with_teacher([read_set(path) for path in (student, *others, full)])[1] == []
