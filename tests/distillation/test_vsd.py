"""Contract: a fake score that keeps off the teacher makes VSD's difference larger, and no other."""

import pytest
import torch
from distillation.gaussian_cases import COUNT, PROCESS, SAMPLES
from distillation.learning import check_roles_learn
from distillation.make import make
from distillation.test_objectives import losses_and_gradients, toy_roles
from distillation.toy import (
    TIMES,
    GaussianDenoiser,
    GaussianStudent,
    SetDraws,
    blank,
)

from domains.config import Distil
from domains.distillation.objectives.vsd import VSD
from domains.distillation.roles import Draws, Roles, RollOut
from domains.distillation.times import Times

STD, SHIFT = 0.5, 1.3


def asd(weight: float, times: Times = TIMES) -> VSD:
    return make(VSD, times=times, fake_teacher_weight=weight)


def gradient(weight: float, fake_shift: float) -> float:
    """Of the fake score's loss in its shift; teacher and student differ in theirs alone."""
    times = PROCESS.times(1)
    student = GaussianStudent(SHIFT, STD, COUNT, float(times[0])).requires_grad_(False)
    teacher = GaussianDenoiser(1.0, STD, COUNT).requires_grad_(False)
    fake = GaussianDenoiser(fake_shift, STD, COUNT)
    roles = Roles(PROCESS, student, teacher, {"fake": fake}, RollOut(times))
    objective = asd(weight, Times(kind="beta", low=0.2, high=0.8))
    batch, draws = blank([COUNT] * SAMPLES), Draws(("adversarial",))
    loss = objective.fake_score_loss("fake", roles, batch, draws).value
    return float(torch.autograd.grad(loss, fake.shift)[0])


@pytest.mark.parametrize("weight", [-0.75, -0.4, 0.0, 1.0])
def test_1_its_best_is_as_much_farther_from_the_teacher(weight: float):
    best = 1 + (SHIFT - 1) / (1 + weight)
    assert gradient(weight, best) == pytest.approx(0, abs=0.03)
    assert gradient(weight, best + 0.4) > 0.05 and gradient(weight, best - 0.4) < -0.05


@pytest.mark.parametrize("weight", [-0.75, 1.0])
def test_2_every_role_learns_and_the_teacher_does_not(weight: float):
    check_roles_learn(asd(weight), toy_roles(2))


def test_5_padding_and_masked_points_change_nothing():
    def result(length: int, fill: float):
        draws = SetDraws(("x",), mask=blank([5, 7], length).mask, count=7, fill=fill)
        return losses_and_gradients(asd(-0.5), 2, draws, length)

    torch.testing.assert_close(result(7, 0.0), result(12, 9.0), rtol=1e-4, atol=1e-5)


def test_disback_records_scores_of_samples_alone():
    given = {"degradation": {}, "fit": {"network_calls": 9}}
    Distil.model_validate({**given, "objective": {"kind": "vsd"}})
    objective = {"kind": "vsd", "fake_teacher_weight": -0.5}
    with pytest.raises(ValueError, match="fake_teacher_weight must be 0"):
        Distil.model_validate({**given, "objective": objective})
