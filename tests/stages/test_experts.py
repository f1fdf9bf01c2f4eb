"""Contract: a student's experts are models of the run, and the teachers of their classes."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from snakemake_run import planned, snakemake
from tiny_run import content, save_teacher, write_config

from domains.batch import Batch
from domains.config import parse_config
from domains.errors import FewstepError
from domains.field import load_field
from domains.files.model_files import read_model
from domains.stages.beside import load_experts
from domains.stages.distill import _plan, distill

# The finer class stands last and counts first.
EXPERTS = {"1": "alpha", "2": "beta", "1.10": "bundle"}
NAMES = ("teacher", *EXPERTS.values())


def student(experts: dict[str, str], **settings: Any) -> dict[str, Any]:
    fit = {"steps": 2, "validate_every": 0}
    listed = [{"fold": fold, "model": model} for fold, model in experts.items()]
    return {"student": {"fold": "A", "experts": listed, "fit": fit, **settings}}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a teacher and three experts."""
    root = tmp_path_factory.mktemp("run")
    for seed, name in enumerate(NAMES):
        save_teacher(root / name, seed)
    return root


def asked(*codes: str) -> Batch:
    batch = Batch(torch.ones(len(codes), 20, dtype=torch.bool))
    return replace(batch, condition={"cath_code": [[code] if code else [] for code in codes]})


@pytest.mark.parametrize("weight", [1.0, 3.0])
def test_each_sample_is_answered_by_the_expert_of_its_finest_class(
    root: Path, weight: float
) -> None:
    settings = student(EXPERTS, teacher_guidance=weight)
    run = parse_config(content(students=settings, models={name: "x" for name in NAMES[1:]}))
    section, field = run.students["student"], load_field("protein")
    networks = {name: field.load(root / name).eval() for name in NAMES}
    places = {name: root / name for name in NAMES[1:]}
    experts = load_experts(field, section, places, networks["teacher"])
    plan = _plan(field, section, networks["teacher"], 0, experts=experts)
    assert len(plan.frozen_networks) == 3
    codes = {"1.20.x.x": "alpha", "1.10.x.x": "bundle", "2.x.x.x": "beta", "3.x.x.x": "teacher"}
    codes |= {"": "teacher"}
    batch, noisy = asked(*codes), torch.randn(5, 20, 3)
    time = torch.linspace(0.2, 0.8, 5)
    with torch.no_grad():
        found = plan.as_teacher(networks["teacher"])(noisy, time, batch)
        for row, (code, name) in enumerate(codes.items()):
            one = noisy[row : row + 1], time[row : row + 1]
            with_class, without = (networks[name](*one, asked(told)) for told in (code, ""))
            expected = weight * with_class + (1 - weight) * without
            torch.testing.assert_close(found[row : row + 1], expected, rtol=1e-4, atol=1e-5)


def trained(root: Path, state: Path, experts: dict[str, str]) -> dict[str, Any]:
    """Train a student for two steps and return its model.json."""
    models = dict.fromkeys(NAMES[1:], "x")
    config = write_config(state.parent / "run.yaml", students=student(experts), models=models)
    distill(config, "student", root / "teacher", state, state / "student", models=root)
    weights, described = read_model(state / "student")
    return {"weights": weights, **described["provenance"]}


def test_a_student_learns_from_its_experts(root: Path, tmp_path: Path) -> None:
    ways = {"plain": {}, "one": {"1": "alpha"}, "other": {"1": "beta"}}
    plain, one, other = (trained(root, tmp_path / name, way) for name, way in ways.items())
    assert not [key for key in plain if key.startswith("expert")]
    assert one["expert_alpha_sha256"] != other["expert_beta_sha256"]
    for first, second in ((plain, one), (one, other)):
        assert any((first["weights"][k] != second["weights"][k]).any() for k in first["weights"])


def test_experts_that_cannot_be_are_one_line(root: Path, tmp_path: Path) -> None:
    models = {"alpha": "x", "motif": "x"}

    def fails(words: str, experts: dict[str, str], given: Path | None) -> None:
        config = write_config(tmp_path / "run.yaml", students=student(experts), models=models)
        where = root / "teacher", tmp_path / "state", tmp_path / "student"
        with pytest.raises(FewstepError, match=words):
            distill(config, "student", *where, models=given)

    fails(r"experts of classes are models.*--models", {"1": "alpha"}, None)
    fails("knows no fold class 77", {"77": "alpha"}, root)
    features = ["x_sc", "motif_sequence_mask", "motif_x1"]
    pairs = ["rel_seq_sep", "motif_structure_mask", "motif_x1_pair_dists"]
    save_teacher(tmp_path / "motif", feats_init_seq=features, feats_pair_repr=pairs)
    fails("the expert motif was trained with another noise", {"1": "motif"}, tmp_path)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"experts": {"1": "gamma"}}, "'gamma' is not one of the run's models, alpha"),
        ({"experts": {"1": "alpha"}, "fold": None}, "fold: must be C or A or T for alpha"),
        ({"experts": {"1.10.5": "alpha"}}, "fold: must be T for alpha to be the expert of 1.10.5"),
        ({"experts": {"helix": "alpha"}}, "experts.0.fold"),
    ],
)
def test_wrong_experts_are_refused_before_anything_starts(
    changes: dict[str, Any], words: str
) -> None:
    settings = content(students=student(**changes), models={"alpha": "x"})
    with pytest.raises(FewstepError, match=words):
        parse_config(settings)


def test_a_class_has_one_expert() -> None:
    twice = [{"fold": "1", "model": name} for name in ("alpha", "beta")]
    settings = content(students={"student": {"fold": "C", "experts": twice, "fit": {"steps": 1}}})
    with pytest.raises(FewstepError, match="experts: there are two of 1"):
        parse_config(settings)


def test_a_field_without_classes_has_no_experts() -> None:
    run = {
        "name": "scans",
        "domain": "lidar",
        "teacher": "lidar-street",
        "models": {"alpha": "x"},
        "students": {
            "student": {"experts": [{"fold": "1", "model": "alpha"}], "fit": {"steps": 1}}
        },
        "generate": {"scenes": 1},
        "sets": {},
    }
    with pytest.raises(FewstepError, match="experts: the field has no classes"):
        parse_config(run)


def test_the_models_of_experts_are_inputs_of_the_training(tmp_path: Path) -> None:
    """Their names are such as Snakemake would take for patterns."""
    models = {"alpha": "{alpha}", "beta": "{beta}", "unused": "{unused}"}
    chosen = student({"1": "alpha", "1.10": "alpha", "2": "beta"})
    config = tmp_path / "run.yaml"
    for students, count in ((student({}), 1), (chosen, 3)):
        settings = content(teacher="{model}", students=students, models=models)
        config.write_text(yaml.safe_dump(settings))
        jobs = planned(tmp_path, config, "--until", "distill")
        assert jobs == {"prepare": count, "distill": 1}
    shown = snakemake(tmp_path, config, "--dry-run", "--printshellcmds", "--until", "distill")
    words = " ".join(shown.stdout.split())
    assert "--models results/tiny/models --state" in words
    assert "results/tiny/models/beta/model.safetensors" in words
