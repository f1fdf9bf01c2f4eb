"""Contract: ScoreLiDAR is VSD plus its weighted structural errors."""

import pytest
import torch
from distillation.gaussian_cases import PROCESS
from distillation.make import make
from distillation.toy import TIMES, ToyDenoiser, blank
from torch import Tensor, nn

from domains.batch import Batch
from domains.config import Distil
from domains.distillation.objectives.score_lidar import ScoreLiDAR
from domains.distillation.objectives.vsd import VSD
from domains.distillation.roles import Draws, Roles, RollOut


def errors(points: Tensor, batch: Batch) -> dict[str, Tensor]:
    return {"scene": points.square().mean(), "point": points.abs().mean()}


def gradients(loss: Tensor, network: nn.Module) -> list[Tensor]:
    return list(torch.autograd.grad(loss, list(network.parameters())))


def test_loss_is_vsd_plus_weighted_errors() -> None:
    student, draws, batch = ToyDenoiser(1), Draws(("sum",)), blank([6, 8])
    teacher = ToyDenoiser(0).requires_grad_(False)
    roll_out = RollOut(PROCESS.times(2))
    roles = Roles(PROCESS, student, teacher, {"fake": ToyDenoiser(2)}, roll_out)
    whole = make(ScoreLiDAR, times=TIMES, errors=errors, scene_weight=0.5, point_weight=2.0)
    found = gradients(whole.student_loss(roles, batch, draws).value, student)
    plain = gradients(make(VSD, times=TIMES).student_loss(roles, batch, draws).value, student)
    clean = roles.play(batch, draws, gradient=True)
    terms = errors(clean, batch)
    structural = gradients(0.5 * terms["scene"] + 2.0 * terms["point"], student)
    for ours, vsd, added in zip(found, plain, structural, strict=True):
        torch.testing.assert_close(ours, vsd + added, rtol=1e-4, atol=1e-6)
        assert added.abs().max() > 0


def test_without_the_scores_it_is_a_regression_that_asks_no_teacher() -> None:
    student, draws, batch = ToyDenoiser(1), Draws(("sum",)), blank([6, 8])

    class Unasked(nn.Module):
        def forward(self, *_: object) -> Tensor:
            raise AssertionError("the teacher is asked")

    roles = Roles(PROCESS, student, Unasked(), {}, RollOut(PROCESS.times(2)))
    weights = {"score_weight": 0.0, "scene_weight": 0.5, "point_weight": 2.0}
    objective = make(ScoreLiDAR, errors=errors, **weights)
    assert objective.fake_scores == () != make(ScoreLiDAR, errors=errors).fake_scores
    terms = errors(roles.play(batch, draws, gradient=True), batch)
    expected = gradients(0.5 * terms["scene"] + 2.0 * terms["point"], student)
    found = gradients(objective.student_loss(roles, batch, draws).value, student)
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs)


def test_a_regression_has_no_fake_score_to_record() -> None:
    given = {"degradation": {}, "fit": {"network_calls": 9}}
    objective = {"kind": "score_lidar", "score_weight": 0.0}
    Distil.model_validate({**given, "objective": {"kind": "score_lidar"}})
    Distil.model_validate({"fit": given["fit"], "objective": objective})
    with pytest.raises(ValueError, match=r"degradation: .* no fake score to record"):
        Distil.model_validate({**given, "objective": objective})
