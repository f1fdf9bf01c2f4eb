"""Contract: every objective takes a step on every domain, as its settings say."""

import copy
from pathlib import Path
from typing import Any, get_args

import pytest
import torch
from domain_cases import domain, made, section, teacher
from torch import nn

from domains.config.objectives import ObjectiveConfig
from domains.distillation.distiller import Distiller
from domains.distillation.fit import run
from domains.distillation.objectives import Adversarial
from domains.domain import Domain
from domains.stages.distill import _plan
from domains.stages.objective import build_objective

OBJECTIVES = {c.model_fields["kind"].default: c for c in get_args(get_args(ObjectiveConfig)[0])}
# Values that are no defaults.
OTHERS: dict[str, dict[str, Any]] = {
    "sid": {"alpha": 1.3, "weighting": "reference"},
    "vsd": {},
    "sim": {"huber": 0.3},
    "f_distill": {"divergence": "neyman", "adversarial": {"weight": 0.3, "critic_weight": 0.7}},
    "tdm": {"fake_target": "interval"},
    "consistency": {"grid": 5, "huber": 0.2},
    "progressive": {"substeps": 3, "noise_scale": 0.7, "huber": 0.2},
    "distillation_dpo": {"pair_noise": 1.3, "loser_bound": 0.4},
    "diffusion_dpo": {"pair_noise": 1.3, "beta": 3.0},
    "score_lidar": {"scene_weight": 0.7, "point_weight": 0.2},
}
VARIANTS: list[tuple[str, dict[str, Any]]] = [(kind, {}) for kind in OBJECTIVES]
VARIANTS += [("sid", {"adversarial": {}}), ("vsd", {"adversarial": {}})]


@pytest.mark.parametrize(("kind", "settings"), VARIANTS)
def test_every_objective_takes_a_step(
    domain: Domain, teacher: nn.Module, kind: str, settings: dict[str, Any], tmp_path: Path
) -> None:
    student = copy.deepcopy(teacher)
    plan = _plan(domain, section(kind, **settings), teacher, 0)
    distiller = Distiller(plan, student, teacher)
    before = copy.deepcopy(student.state_dict())
    frozen = copy.deepcopy(teacher.state_dict())
    assert run(distiller, tmp_path)
    after = distiller.student.state_dict()
    assert all(torch.isfinite(value).all() for value in after.values())
    assert any(not torch.equal(before[name], after[name]) for name in before)
    assert all(torch.equal(frozen[k], v) for k, v in teacher.state_dict().items())


@pytest.mark.parametrize("kind", OBJECTIVES)
def test_objectives_follow_their_settings(domain: Domain, made: nn.Module, kind: str) -> None:
    given = {"scale": 7.0, **OTHERS[kind]}
    config = OBJECTIVES[kind](**given)
    objective = build_objective(section(kind, **given), domain, made)
    special = {"kind", "student_times", "fake_times", "times", "scene_weight", "point_weight"}
    special |= {"adversarial"}
    if kind == "f_distill":
        found = objective.weight, objective.critic_weight  # type: ignore[attr-defined]
        assert found == (0.3, 0.7)
    for key in set(type(config).model_fields) - special:
        assert getattr(objective, key) == getattr(config, key)
    if kind == "score_lidar":
        weights = {"scene": config.scene_weight, "point": config.point_weight}
        assert objective.weights == weights  # type: ignore[attr-defined]
    for times in {"student_times", "fake_times", "times"} & set(type(config).model_fields):
        built, asked = getattr(objective, times), getattr(config, times)
        assert (built.kind, built.low, built.high) == (asked.kind, asked.low, asked.high)


@pytest.mark.parametrize("kind", ["sid", "vsd"])
def test_a_discriminator_goes_beside_an_objective(
    domain: Domain, made: nn.Module, kind: str
) -> None:
    weights = {"weight": 0.3, "critic_weight": 0.7}
    found = build_objective(section(kind, scale=7.0, adversarial=weights), domain, made)
    assert isinstance(found, Adversarial) and found.base.scale == 7.0  # type: ignore[attr-defined]
    assert (found.weight, found.critic_weight) == (0.3, 0.7)
