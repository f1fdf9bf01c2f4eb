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


OURS = sorted(CONFIGS.glob("*/protein*.yaml"))


@pytest.mark.parametrize("path", OURS, ids=lambda path: path.stem)
def test_our_own_runs_are_wise(path):
    assert advice(load_config(path)) == []


def test_a_validation_at_another_scale_is_a_line():
    students = {"student": {"roll_out": TRAINED}}
    (line, *_) = advice(parse_config(content(students=students)))
    assert line.startswith("students.student.validation_noise_scale: 0.45, but it is trained with")
