"""Contract: a student of fewer layers trains by every objective, is saved, sampled and measured."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from domain_cases import STUDENTS, section
from snakemake_run import settings_file
from tiny_run import save_teacher, write_config

from domains.config import parse_config, read_yaml
from domains.distillation.objectives.registry import settings_by_kind
from domains.distillation.training.distiller import Distiller
from domains.distillation.training.fit import run
from domains.errors import FewstepError
from domains.evaluation.statistics.table import SAMPLE, read_table
from domains.field import load_field
from domains.files.model_files import read_model
from domains.stages.distill import _first_student, _plan
from domains.stages.evaluate import evaluate
from domains.stages.generate import generate

FEW = {"nlayers": 3}


def weights(network: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def distil(at: Path, layers: int) -> subprocess.CompletedProcess[str]:
    """Train the tiny student with so many layers, by the command line."""
    save_teacher(at / "teacher", **FEW)
    write_config(at / "run.yaml", students={"student": {"layers": layers}})
    places = ["--teacher", "teacher", "--state", "state", "--output", "student"]
    given = ["distill", "--config", "run.yaml", "--student", "student", *places]
    command = [sys.executable, "-c", "from domains.cli import main; main()", *given]
    return subprocess.run(command, cwd=at, capture_output=True, text=True, timeout=300)


def test_it_is_trained_sampled_and_measured(tmp_path: Path) -> None:
    made = distil(tmp_path, 2)
    assert made.returncode == 0, made.stderr
    student, field = tmp_path / "student", load_field("protein")
    facts = read_model(student)[1]
    assert facts["network"]["nlayers"] == 2 and facts["provenance"]["distil"]["layers"] == 2
    assert weights(field.load(student)) < weights(field.load(tmp_path / "teacher"))
    config = tmp_path / "run.yaml"
    for k in range(2):
        generate(config, "student_2", k, tmp_path / f"samples/shard_{k:04d}", student)
    evaluate(config, "student_2", tmp_path / "samples", tmp_path / "evaluation")
    table = read_table(tmp_path / "evaluation/samples.csv", SAMPLE)
    assert len(table) == 4 and not any(table["bond_fraction"].isna())
    # Another one goes on from it, as it is; none of other layers can.
    teacher, start = field.load(tmp_path / "teacher"), field.load(student).state_dict()
    going_on = _first_student(field, student, teacher, 2).state_dict()
    assert all(torch.equal(value, start[name]) for name, value in going_on.items())
    with pytest.raises(FewstepError, match="with as many layers"):
        _first_student(field, student, teacher)


def test_more_layers_than_the_teacher_has_are_one_line(tmp_path: Path) -> None:
    made = distil(tmp_path, 4)
    assert made.returncode == 2 and "Traceback" not in made.stderr
    assert "can't have more layers than its teacher" in made.stderr


def test_networks_without_such_layers_are_refused() -> None:
    lidar = read_yaml(settings_file("lidar_demo"))
    for student in lidar["students"].values():
        student["layers"] = 2
    with pytest.raises(FewstepError, match="layers: the networks of this field have none"):
        parse_config(lidar)


@pytest.mark.parametrize("kind", settings_by_kind())
def test_every_objective_takes_a_step(kind: str, tmp_path: Path) -> None:
    given = {**section("protein", kind).model_dump(), "layers": 2}
    if kind == "diffusion_dpo":
        with pytest.raises(ValueError, match="layers: the objective diffusion_dpo"):
            STUDENTS["protein"].model_validate(given)
        return
    settings = STUDENTS["protein"].model_validate(given)
    field = load_field("protein")
    teacher = field.load(save_teacher(tmp_path / "teacher", **FEW))
    student = _first_student(field, None, teacher, settings.layers)
    before = [parameter.detach().clone() for parameter in student.parameters()]
    distiller = Distiller(_plan(field, settings, teacher, 0), student, teacher)
    assert run(distiller, tmp_path / "state")
    after = list(distiller.student.parameters())
    assert all(value.isfinite().all() for value in after)
    assert any(not torch.equal(*pair) for pair in zip(before, after, strict=True))
    assert weights(distiller.average) == weights(student) < weights(teacher)
    assert all(weights(fake) == weights(teacher) for fake in distiller.fakes.values())
