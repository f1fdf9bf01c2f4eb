"""Contract: a student that is sampled otherwise than it was trained is said, not refused."""

from typing import Any

import pytest
from snakemake_run import CONFIGS
from tiny_run import content

from domains.config import advice, load_config, parse_config

TRAINED: dict[str, Any] = {"steps": 4, "eta": 0, "self_conditioning": True}
SAMPLED: dict[str, Any] = {**TRAINED, "kind": "renoise", "noise_scale": 1}


def said(trained: dict[str, Any], sampled: dict[str, Any]) -> list[str]:
    students = {"student": {"roll_out": trained, "validation_noise_scale": 1}}
    sets = {"student_2": {"sampler": sampled}}
    return advice(parse_config(content(students=students, sets=sets)))


def test_as_it_was_trained_nothing_is_said():
    assert said(TRAINED, SAMPLED) == []
    assert said({"steps": 4}, {"kind": "renoise", "steps": 8, "noise_scale": 0.45}) == []


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("steps", 8, "8, but student was trained with 4"),
        ("eta", 1.0, "1.0, but student was trained with 0"),
        ("noise_scale", 0.45, "0.45, but student was trained with 1.0"),
        ("self_conditioning", False, "False, but student was trained with True"),
        ("times", [0.1, 0.5, 0.7, 0.9], "but student was trained with the usual"),
    ],
)
def test_each_departure_is_a_line(key: str, value: Any, words: str):
    (line,) = said(TRAINED, SAMPLED | {key: value})
    assert line.startswith(f"sets.student_2.sampler.{key}: ") and words in line


def test_a_bundled_student_at_other_times_is_a_line():
    sampler = {**TRAINED, "kind": "renoise", "noise_scale": 1, "steps": 8}
    sets = {"eight": {"model": "bundled", "sampler": sampler}}
    run = parse_config(content(models={"bundled": "proteina-small-8"}, sets=sets))
    (line,) = advice(run)
    assert line.startswith("sets.eight.sampler.times: the usual, but bundled was trained with (0.2")
    nowhere = parse_config(content(models={"bundled": "not/there"}, sets=sets))
    assert advice(nowhere) == []


OURS = sorted(CONFIGS.glob("*/protein*.yaml"))


@pytest.mark.parametrize("path", OURS, ids=lambda path: path.stem)
def test_our_own_runs_are_wise(path):
    assert advice(load_config(path)) == []


def test_a_validation_at_another_scale_is_a_line():
    students = {"student": {"roll_out": TRAINED}}
    (line, *_) = advice(parse_config(content(students=students)))
    assert line.startswith("students.student.validation_noise_scale: 0.45, but it is trained with")


@pytest.mark.parametrize(
    ("objective", "unused"),
    [
        ({"kind": "consistency_training"}, True),
        ({"kind": "score_lidar", "score_weight": 0}, True),
        ({"kind": "score_lidar"}, False),
        ({"kind": "vsd"}, False),
    ],
)
def test_a_teacher_that_is_shaped_and_never_asked_is_a_line(objective: Any, unused: bool):
    students = {"student": {"objective": objective, "teacher_noise_scale": 0.6}}
    lines = advice(parse_config(content(students=students)))
    key = "students.student.teacher_noise_scale"
    assert lines == [f"{key}: unused, as {objective['kind']} asks no teacher"] * unused


@pytest.mark.parametrize(
    ("per_length", "size", "steps", "many"),
    [(320, 64, 2, True), (30, 64, 2, False), (3200, 2000, 2, False), (320, 64, 100, False)],
)
def test_many_jobs_that_only_start_are_a_line(per_length: int, size: int, steps: int, many: bool):
    plan = {"lengths": [40, 44], "per_length": per_length, "shard_size": size}
    sets = {name: {"sampler": {"steps": steps}} for name in ("naive", "student_2")}
    lines = advice(parse_config(content(generate=plan, sets=sets)))
    found = [line for line in lines if "job" in line]
    assert len(found) == many
    if many:  # 64 samples of 42 residues and two calls are 5376 of 150,000
        assert found[0].startswith("generate.shard_size: 64, of which 10 jobs")
        assert "; 1786 would do" in found[0]
