"""Contract: decoupled, VSD compares plain scores, and guidance pushes at times of its own."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from distillation.gaussian_cases import (
    COUNT,
    PROCESS,
    SAMPLES,
    Gaussians,
    Gradient,
    every_roll_out,
    every_setting,
    vsd_gradient,
)
from distillation.make import make, one_time
from distillation.test_objectives import module
from distillation.toy import (
    TIMES,
    GaussianDenoiser,
    GaussianStudent,
    SetDraws,
    ToyDenoiser,
    blank,
    slope,
)
from torch import Tensor

from domains.batch import Batch
from domains.config import Distil
from domains.distillation.denoiser import Guided
from domains.distillation.objectives.vsd import VSD, VSDConfig
from domains.distillation.roles import Draws, Loss, Roles, RollOut
from domains.distillation.times import Times

WEIGHT, UNTOLD, LATE = 2.5, -0.4, 0.75


def gradient(case: Gaussians, steps: int, weight: float) -> Gradient:
    """Of the student's shift and spread; the teacher without its class is N(−.4 m, s_T²)."""
    times = PROCESS.times(steps)
    student = GaussianStudent(case.shift, case.std, COUNT, float(times[0]))
    told, untold = (GaussianDenoiser(shift, case.teacher_std, COUNT) for shift in (1.0, UNTOLD))
    fake = GaussianDenoiser(case.shift, case.std, COUNT)
    roles = Roles(PROCESS, student, Guided(told, weight, untold), {"fake": fake}, RollOut(times))
    late = Times.model_construct(kind="uniform", low=LATE, high=LATE)
    objective = make(VSD, times=one_time(case.time), guidance_times=late)
    batch = blank([COUNT] * SAMPLES)
    loss = objective.student_loss(roles, batch, Draws(("decoupled",))).value
    by_shift, by_std = torch.autograd.grad(loss, [student.shift, student.std])
    return float(by_shift), float(by_std)


def push(case: Gaussians, weight: float) -> float:
    """By hand: D − D_w = (1 − w) (a − a_untold) (1 − t k) m, over E|x − D_w|, at the late time."""
    guided = weight * 1.0 + (1 - weight) * UNTOLD
    # Of ``Gaussians`` the teacher is at 1.
    late = replace(case, shift=1 + case.shift - guided, time=LATE)
    k = float(slope(case.teacher_std, torch.tensor(LATE, dtype=torch.float64)))
    return (1 - weight) * (1 - UNTOLD) * (1 - LATE * k) / late.normaliser()


@every_roll_out
@every_setting
def test_1_gradient_is_that_of_plain_scores_and_of_the_push(steps: int, setting: Gaussians):
    by_shift, by_std = vsd_gradient(setting)
    expected = by_shift + push(setting, WEIGHT), by_std
    found = gradient(setting, steps, WEIGHT)
    assert found == pytest.approx(expected, rel=0.02, abs=0.02)
    assert abs(push(setting, WEIGHT)) > 0.05


def toy(**changes: Any) -> Roles:
    networks = [ToyDenoiser(seed).requires_grad_(False) for seed in (0, 7)]
    fakes = {"fake": ToyDenoiser(2).requires_grad_(False)}
    teacher = Guided(networks[0], WEIGHT, networks[1])
    roll_out = RollOut(PROCESS.times(3))
    return replace(Roles(PROCESS, ToyDenoiser(1), teacher, fakes, roll_out), **changes)


def decoupled(roles: Roles, batch: Batch, draws: Draws, **changes: Any) -> Loss:
    times = changes.pop("guidance_times", Times(kind="uniform", low=0.02, high=0.98))
    return make(VSD, times=TIMES, guidance_times=times, **changes).student_loss(roles, batch, draws)


def slopes(loss: Loss, roles: Roles) -> list[Tensor]:
    return list(torch.autograd.grad(loss.value, [*module(roles.student).parameters()]))


def test_2_only_the_student_learns():
    roles = toy()
    decoupled(roles, blank([6, 8]), Draws(("who",))).value.backward()
    assert all(
        p.grad is not None and p.grad.isfinite().all() for p in module(roles.student).parameters()
    )
    assert isinstance(roles.teacher, Guided)
    for one in (roles.teacher.denoiser, roles.teacher.unconditional, roles.fakes["fake"]):
        assert all(parameter.grad is None for parameter in module(one).parameters())


def test_3_guidance_pushes_away_from_the_untold():
    at_rest = Gaussians(1.0, 0.5, 0.5, 0.6)
    assert gradient(at_rest, 1, WEIGHT)[0] < -0.1  # a rises, away from −.4
    assert gradient(at_rest, 1, 0.5)[0] > 0.05  # half of it is no guidance but its opposite


def test_4_nothing_is_to_learn_where_classes_say_nothing_and_the_fake_score_is_the_teacher():
    network = ToyDenoiser(0)
    roles = toy(teacher=Guided(network, WEIGHT, network), fakes={"fake": network})
    loss = decoupled(roles, blank([6, 8]), Draws((4,)))
    assert all(one.abs().max() < 1e-6 for one in slopes(loss, roles))


def test_5_padding_and_order_change_nothing():
    def result(batch: Batch, **given: Any) -> list[Tensor]:
        roles, draws = toy(), SetDraws(("x",), mask=batch.mask, count=7, **given)
        loss = decoupled(roles, batch, draws)
        return [loss.value, *loss.diagnostics.values(), *slopes(loss, roles)]

    short, long = blank([5, 7], 7), blank([5, 7], 12)
    torch.testing.assert_close(result(short), result(long, fill=9.0), rtol=1e-4, atol=1e-5)
    order, whole = torch.randperm(7, generator=torch.Generator().manual_seed(1)), blank([7, 7])
    torch.testing.assert_close(result(whole), result(whole, order=order), rtol=1e-4, atol=1e-5)


def test_6_the_sample_is_the_roll_outs_and_the_push_is_after_its_call():
    """The scores are asked at all times, the guidance only after the call of the sample."""
    roles, batch = toy(), blank([6] * 64)
    assert isinstance(roles.teacher, Guided)
    seen: list[float] = []

    def untold(noisy: Tensor, time: Tensor, batch: Batch, previous: Tensor | None = None) -> Tensor:
        seen.append(float(time.min()))
        return torch.zeros_like(noisy)

    roles = replace(roles, teacher=replace(roles.teacher, unconditional=untold))
    for number in range(12):
        draws = Draws(("late", number))
        step = draws.integer("step", 3)
        decoupled(roles, batch, draws)
        start = max(0.02, float(roles.rolled.times[step]))
        assert start <= seen[-1] < start + 0.15 * (0.98 - start) or start > 0.98
    assert len(seen) == 12 and max(seen) > 0.5 > min(seen)
    # A network that has no push is compared at the very points of plain VSD.
    alone = toy(teacher=Guided(ToyDenoiser(0), WEIGHT, ToyDenoiser(0)))
    assert isinstance(alone.teacher, Guided)
    plain = replace(alone, teacher=alone.teacher.denoiser)
    found = decoupled(alone, batch, Draws(("same",))).value
    expected = make(VSD, times=TIMES).student_loss(plain, batch, Draws(("same",))).value
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)


def test_without_guidance_there_is_nothing_to_take_apart():
    with pytest.raises(ValueError, match="no guidance"):
        decoupled(toy(teacher=ToyDenoiser(0)), blank([6]), Draws((0,)))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, None),
        ({"teacher_guidance": 1.0}, "of no use with teacher_guidance 1"),
        ({"degradation": {}}, "does not go with degradation"),
        ({"teacher_rescale": {"sharpness": 2.0, "spread": 0.2}}, "does not go with"),
        ({"roll_out": {"each_sample": True}}, "does not go with"),
        ({"roll_out": {"shared": True}}, "does not go with"),
    ],
)
def test_it_goes_with_a_guided_teacher_alone(changes: dict[str, Any], words: str | None):
    objective = {"kind": "vsd", "guidance_times": {"kind": "uniform", "low": 0.1}}
    given = {
        "objective": objective,
        "teacher_guidance": 2.0,
        "fit": {"network_calls": 9},
        **changes,
    }
    if words is None:
        assert Distil.model_validate(given).objective.model_dump()["guidance_times"]["low"] == 0.1
        assert "guidance_times" not in VSDConfig().model_dump()  # as before it was there
        return
    with pytest.raises(ValueError, match=words):
        Distil.model_validate(given)
