"""Contract: every objective takes a step on every domain, as its settings say."""

import copy
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from domain_cases import STUDENTS, domain, made, section, teacher
from torch import Tensor, nn

from domains.batch import Batch
from domains.config import Distil
from domains.distillation.objectives.adversarial import Adversarial, AdversarialConfig
from domains.distillation.objectives.objective import Objective
from domains.distillation.objectives.registry import build_objective, settings_by_kind
from domains.distillation.roles import Draws
from domains.distillation.sampling.sampler import renoise
from domains.distillation.training.distiller import Distiller
from domains.distillation.training.fit import run
from domains.distillation.training.log_table import LogTable
from domains.errors import FewstepError
from domains.field import Field
from domains.stages.distill import _plan, _validation
from domains.stages.resources import FieldResources

OBJECTIVES = settings_by_kind()
# Values that are no defaults.
OTHERS: dict[str, dict[str, Any]] = {
    "sid": {"alpha": 1.3, "weighting": "reference"},
    "vsd": {"fake_teacher_weight": -0.5},
    "sim": {"huber": 0.3},
    "f_distill": {"divergence": "neyman", "adversarial": {"weight": 0.3, "critic_weight": 0.7}},
    "tdm": {"fake_target": "interval"},
    "phased_dmd": {"phases": 1},
    "boot": {"grid": 6, "low": 0.1, "high": 0.9, "huber": 0.2, "boundary_weight": 2.0},
    "consistency": {"grid": 5, "huber": 0.2, "segments": (2, 1)},
    "consistency_training": {"first_grid": 4, "double_every": 3, "log_mean": 0.2, "huber": 0.2},
    "progressive": {"substeps": 3, "noise_scale": 0.7, "huber": 0.2},
    "flow_map": {"substeps": 3, "huber": 0.2, "align": True, "step_weights": (1.0, 2.0)},
    "rcm": {"weight": 3.0, "difference": 0.02, "warmup": 4},
    "sfd": {"forget": "2", "instead": "1", "weight": 0.3, "alpha": 1.1, "weighting": "reference"},
    "distillation_dpo": {"pair_noise": 1.3, "loser_bound": 0.4},
    "diffusion_dpo": {"pair_noise": 1.3, "beta": 3.0},
    "score_lidar": {"scene_weight": 0.7, "point_weight": 0.2},
}
VARIANTS: list[tuple[str, dict[str, Any]]] = [(kind, {}) for kind in OBJECTIVES]
VARIANTS += [("sid", {"adversarial": {}}), ("vsd", {"adversarial": {}})]


# Objectives that have nothing to work on in a field, and what is said.
REFUSED = {("sfd", "lidar"): "the field has no classes to forget"}


def build(section: Distil, domain: Field, network: nn.Module) -> Objective:
    return build_objective(section.objective, FieldResources(domain, section, network))


def refused(domain: Field, made: nn.Module, kind: str) -> bool:
    """Whether an objective is not of this field; if so, check that it says so."""
    words = REFUSED.get((kind, domain.name))
    if words:
        with pytest.raises(ValueError, match=words):
            section(domain.name, kind)
    return words is not None


@pytest.mark.parametrize(("kind", "settings"), VARIANTS)
def test_every_objective_takes_a_step(
    domain: Field, teacher: nn.Module, kind: str, settings: dict[str, Any], tmp_path: Path
) -> None:
    if not refused(domain, teacher, kind):
        takes_a_step(domain, teacher, section(domain.name, kind, **settings), tmp_path)


def takes_a_step(domain: Field, teacher: nn.Module, settings: Distil, tmp_path: Path) -> None:
    student = copy.deepcopy(teacher)
    distiller = Distiller(_plan(domain, settings, teacher, 0), student, teacher)
    before = copy.deepcopy(student.state_dict())
    frozen = copy.deepcopy(teacher.state_dict())
    assert run(distiller, tmp_path)
    after = distiller.student.state_dict()
    assert all(torch.isfinite(value).all() for value in after.values())
    assert any(not torch.equal(before[name], after[name]) for name in before)
    assert all(torch.equal(frozen[k], v) for k, v in teacher.state_dict().items())


def guided(domain: Field, kind: str, **settings: Any) -> Distil:
    """Settings with guided fake scores, and a condition."""
    fold = "C" if domain.name == "protein" else None
    weights = {"fake_guidance": -1.0, "fake_training_guidance": 2.0}
    weights |= {"fold": fold} if fold else {}
    return section(domain.name, kind, **settings).model_copy(update=weights)


@pytest.mark.parametrize("kind", ["sid", "f_distill"])
def test_guided_fake_scores_take_a_step(
    domain: Field, teacher: nn.Module, kind: str, tmp_path: Path
) -> None:
    """With a discriminator too, which needs the network itself."""
    takes_a_step(domain, teacher, guided(domain, kind, adversarial={}), tmp_path)


def test_decoupled_guidance_takes_a_step(domain: Field, teacher: nn.Module, tmp_path: Path) -> None:
    fold = {"fold": "C"} if domain.name == "protein" else {}
    plain = section(domain.name, "vsd").model_dump() | {"teacher_guidance": 2.0, **fold}
    plain["objective"]["guidance_times"] = {"kind": "uniform", "high": 0.98}
    takes_a_step(domain, teacher, STUDENTS[domain.name].model_validate(plain), tmp_path)


def conditions(noisy: Tensor, time: Tensor, batch: Batch, previous: Tensor | None = None) -> Tensor:
    """A denoiser that answers with how many conditions it is told."""
    return torch.full_like(noisy, float(len(batch.condition)))


def test_fake_scores_are_guided_as_asked(domain: Field, teacher: nn.Module) -> None:
    plan = _plan(domain, guided(domain, "sid").model_copy(update={"batch_size": 8}), teacher, 0)
    batch = plan.batches(0, Draws((0,)))
    given = torch.randn(batch.shape), torch.full((8,), 0.5), batch
    told, untold = conditions(*given), domain.unconditional(conditions)(*given)
    assert (told > untold).all()
    for role, weight in ((plan.as_fake, -1), (plan.as_learning_fake, 2)):
        expected = weight * told + (1 - weight) * untold
        torch.testing.assert_close(role(conditions)(*given), expected)


def test_a_student_learns_and_is_validated_with_its_own_schedule(
    domain: Field, teacher: nn.Module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    played = []

    def spy(roles_or_set, process, batch, times, noise, scale, *, eta, self_conditioning, **_):
        played.append((times.tolist(), scale, eta))
        return renoise(roles_or_set, process, batch, times, noise, scale, eta=eta)

    monkeypatch.setattr("domains.distillation.roles.renoise", spy)
    monkeypatch.setattr("domains.stages.sampling.renoise", spy)
    schedule = {"steps": 2, "times": [0.25, 0.75], "eta": 0.5, "noise_scale": 0.75}
    changes = {"roll_out": schedule, "validation_noise_scale": 0.25}
    given = STUDENTS[domain.name].model_validate(section(domain.name, "vsd").model_dump() | changes)
    takes_a_step(domain, copy.deepcopy(teacher), given, tmp_path)
    assert played and all(scale == 0.75 and eta == 0.5 for _, scale, eta in played)
    assert all(times in ([0.25], [0.25, 0.75]) for times, _, _ in played)
    played.clear()
    distiller = Distiller(_plan(domain, given, teacher, 0), copy.deepcopy(teacher), teacher)
    assert math.isfinite(_validation(domain, given, teacher, 0)(distiller)["quality"])
    assert played and all(one == ([0.25, 0.75], [0.25] * 2, [0.5] * 2) for one in played)


def test_a_student_is_led_over_a_recorded_path(
    domain: Field, teacher: nn.Module, tmp_path: Path
) -> None:
    path = {"checkpoints": 1, "steps": 1, "switch_every": 1}
    changes = {"degradation": path, "fit": {"steps": 4, "log_every": 1}}
    given = STUDENTS[domain.name].model_validate(section(domain.name, "vsd").model_dump() | changes)
    student = copy.deepcopy(teacher)
    before = copy.deepcopy(student.state_dict())
    distiller = Distiller(_plan(domain, given, teacher, 0), student, teacher)
    assert run(distiller, tmp_path)
    assert any(not torch.equal(before[k], v) for k, v in distiller.student.state_dict().items())
    assert [row.get("degradation/stage") for row in LogTable(tmp_path / "log.csv", 4).rows] == [
        None,
        None,
        0.0,
        1.0,
    ]


@pytest.mark.parametrize("kind", OBJECTIVES)
def test_objectives_follow_their_settings(domain: Field, made: nn.Module, kind: str) -> None:
    if refused(domain, made, kind):
        return
    given = {"scale": 7.0, **OTHERS[kind]}
    config = OBJECTIVES[kind](**given)
    objective = build(section(domain.name, kind, **given), domain, made)
    assert objective.settings == config
    if kind == "sfd":
        batch = Batch(torch.ones(2, 4).bool(), condition={"cath_code": [["2.x.x.x"], ["3.x.x.x"]]})
        found, told = objective.override(batch)  # type: ignore[attr-defined]
        assert found.tolist() == [True, False]
        assert told.condition["cath_code"] == [["1.x.x.x"], ["3.x.x.x"]]


@pytest.mark.parametrize("kind", ["sid", "vsd"])
def test_a_discriminator_goes_beside_an_objective(
    domain: Field, made: nn.Module, kind: str
) -> None:
    weights = {"weight": 0.3, "critic_weight": 0.7}
    found = build(section(domain.name, kind, scale=7.0, adversarial=weights), domain, made)
    assert isinstance(found, Adversarial) and found.base.settings.scale == 7.0  # type: ignore[attr-defined]
    assert found.adversarial == AdversarialConfig(**weights)
