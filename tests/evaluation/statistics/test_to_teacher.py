"""Contract: distances to the teacher's samples are 0 on average for a copy, whatever is shared."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from evaluation.report_files import write_set

from domains.evaluation.report.build import build_report
from domains.evaluation.statistics.sets import EvaluationSet, Metric, read_set
from domains.evaluation.statistics.to_teacher import paired_energy_distance, with_distances

METRICS = {
    "good": Metric("Goodness", "", "higher"),
    "near": Metric("Distance to the teacher", "", columns=("one", "two")),
}

OFF = np.array([2.0, 0.0])


def written(root: Path, name: str, role: str, points: np.ndarray, first: int = 0) -> Path:
    path = write_set(root, name, role, 0.5, n=len(points), steps=40 if role == "teacher" else 4)
    table = pd.read_csv(path / "samples.csv").assign(one=points[:, 0], two=points[:, 1])
    table.assign(sample=table["sample"] + first).to_csv(path / "samples.csv", index=False)
    return path


def near(sets: list[EvaluationSet], name: str) -> tuple[float, float, float]:
    found = {one.path.name: one for one in with_distances(sets, METRICS)}
    return found[name].estimate("near")


def test_a_copy_with_the_same_noise_is_not_nearer_than_another_draw() -> None:
    """A mean that held partners would say less than 0: 2/n of the distance of two strangers."""
    rng, count, copies, strangers = np.random.default_rng(0), 20, [], []
    for _ in range(300):
        x, y = rng.normal(size=(2, count, 2))
        partners = np.eye(count, dtype=bool)
        copies.append(paired_energy_distance(x, x.copy(), partners))
        strangers.append(paired_energy_distance(x, y, np.zeros_like(partners)))
    assert abs(np.mean(copies)) < 1e-12
    assert abs(np.mean(strangers)) < 4 * np.std(strangers) / np.sqrt(300)


def test_a_copy_is_near_and_another_set_is_not(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    points = rng.normal([0.0, 5.0], [1.0, 100.0], (60, 2))
    sets = [
        read_set(written(tmp_path, "t", "teacher", points)),
        read_set(written(tmp_path, "copy", "student", points + rng.normal(0, 0.01, (60, 2)))),
        read_set(written(tmp_path, "other", "student", points + OFF)),
        read_set(written(tmp_path, "natives", "data", rng.normal([0, 5], [1, 100], (50, 2)), 99)),
    ]
    value, low, high = near(sets, "copy")
    assert abs(value) < 0.01 and low <= value <= high
    assert near(sets, "other")[1] > 0.5 > near(sets, "natives")[0]
    assert np.isnan(near(sets, "t")[0])
    row = with_distances(sets, METRICS)[2].metrics.iloc[-1]
    assert row["n"] == 60 and row["tool"].endswith("energy distance of 2 columns to t")
    # Each column in units of the teacher's spread.
    scaled = [read_set(written(tmp_path / "b", "t", "teacher", points * [1.0, 9.0]))]
    scaled.append(read_set(written(tmp_path / "b", "other", "student", (points + OFF) * [1, 9])))
    assert near(scaled, "other") == pytest.approx(near(sets, "other"))


def test_few_samples_or_other_columns_have_no_distance(tmp_path: Path) -> None:
    points = np.random.default_rng(0).normal(size=(30, 2))
    teacher = read_set(written(tmp_path, "t", "teacher", points))
    few = read_set(written(tmp_path, "few", "student", points[:9]))
    none = read_set(write_set(tmp_path, "none", "student", 0.5))
    assert with_distances([teacher, few, none], METRICS)[1:] == [few, none]
    assert with_distances([few], METRICS) == [few]


def test_the_report_shows_it(tmp_path: Path) -> None:
    points = np.random.default_rng(0).normal(size=(30, 2))
    paths = [written(tmp_path, n, r, points) for n, r in (("t", "teacher"), ("s", "student"))]
    build_report(paths, tmp_path / "report.html", title="x", metrics=METRICS)
    assert "Distance to the teacher" in (tmp_path / "report.html").read_text(encoding="utf-8")
