"""Contract: rCM is a consistency tangent on data and VSD on samples; six tests, and its warm-up."""

import math
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from distillation.gaussian_cases import COUNT as POINTS
from distillation.gaussian_cases import DEGREES, PROCESS, Gradient, every_roll_out
from distillation.learning import check_roles_learn
from distillation.make import make, one_time
from distillation.test_adversarial import orders, small
from distillation.test_objectives import losses_and_gradients, module, toy_roles
from distillation.toy import (
    TIMES,
    GaussianDenoiser,
    SetDraws,
    ToyDenoiser,
    blank,
    slope,
    template,
)
from torch import Tensor, nn

from domains.batch import Batch
from domains.distillation.objectives.rcm import RCM, tangent
from domains.distillation.objectives.vsd import VSD
from domains.distillation.roles import Draws, Roles, RollOut
from domains.lidar.local_noise import LocalNoise

SAMPLES, STD, STEP, WARMUP = 48, 0.5, 0.002, 10


def data(draws: Draws) -> Batch:
    points = STD * draws.noise("data")((SAMPLES, POINTS, 3)) + template(POINTS)
    return Batch(torch.ones(SAMPLES, POINTS, dtype=torch.bool), points)


def rcm(examples: Callable[[Draws], Batch], time: float | None = None, **settings) -> RCM:
    at = TIMES if time is None else one_time(time)
    return make(
        RCM,
        times=TIMES,
        draw=examples,
        tangent_times=at,
        **{"difference": STEP, "weight": 1.0} | settings,
    )


def derivative(function: Callable[[Tensor], Tensor], at: float) -> float:
    place = torch.tensor(at, dtype=torch.float64, requires_grad=True)
    return float(torch.autograd.grad(function(place), place)[0])


def by_hand(shift: float, std: float, t: float, share: float) -> Gradient:
    """The consistency's gradient of a student that denoises N(a m, c²), of data N(m, s²).

    On a trajectory x_t = t m + ρ u, ρ² = t² s² + (1 − t)², u constant. There
    D = (a + t k (1 − a)) m + k ρ u, so that dD/dt = A m + B u with A = (1 − a)(t k)',
    B = (k ρ)'; of it (D_T − D)/(1 − t) is the teacher's direction. The loss is −W ĝ·D.
    """

    def radius(time: Tensor) -> Tensor:
        return ((time * STD) ** 2 + (1 - time) ** 2).sqrt()

    at = torch.tensor(t, dtype=torch.float64)
    k, k_t, rho = float(slope(std, at)), float(slope(STD, at)), float(radius(at))
    direction = (1 - shift) * (1 - t * k) / (1 - t), (k_t - k) * rho / (1 - t)
    whole = (
        (1 - shift) * derivative(lambda x: x * slope(std, x), t),
        derivative(lambda x: slope(std, x) * radius(x), t),
    )
    along, across = (d + share * (w - d) for d, w in zip(direction, whole, strict=True))
    norm = math.sqrt(3 * POINTS * (along**2 + DEGREES * across**2))
    weight = 1 / (1 - t) / (norm + 0.1)
    by_std = derivative(lambda c: slope(c, at), std)
    product = t * (1 - shift) * along + DEGREES * rho * across
    return -weight * (1 - t * k) * along, -weight * by_std * product


@pytest.mark.parametrize("step", [0, WARMUP // 2, WARMUP])
@pytest.mark.parametrize("time", [0.3, 0.8])
@pytest.mark.parametrize(("shift", "std"), [(1.0, 0.9), (1.4, 0.7), (0.6, 0.3)])
def test_1_gradient_of_gaussians_is_the_known_one(shift: float, std: float, time: float, step: int):
    student = GaussianDenoiser(shift, std, POINTS)
    teacher = GaussianDenoiser(1.0, STD, POINTS).requires_grad_(False)
    fakes = {"fake": teacher}
    roles = Roles(PROCESS, student, teacher, fakes, RollOut(PROCESS.times(1)), step=step)
    found = []
    for weight in (1.0, 2.0):  # the difference is the consistency's
        objective = rcm(data, time, weight=weight, warmup=WARMUP)
        loss = objective.student_loss(roles, blank([POINTS] * 2), Draws(("known",))).value
        found.append(torch.autograd.grad(loss, [student.shift, student.std]))
    consistency = [float(b - a) for a, b in zip(*found, strict=True)]
    expected = by_hand(shift, std, time, step / WARMUP)
    assert consistency == pytest.approx(expected, rel=0.03, abs=3e-4)
    assert max(map(abs, expected)) > 5e-3


@every_roll_out
def test_1_the_rest_is_vsd(steps: int):
    """Twice the loss of weight 1 without that of weight 2."""
    roles, batch, draws = toy_roles(steps), blank([6, 8]), Draws(("rest",))
    parameters = list(module(roles.student).parameters())
    found = []
    for objective in (rcm(small(8)), rcm(small(8), weight=2.0), make(VSD, times=TIMES)):
        loss = objective.student_loss(roles, batch, draws).value
        found.append([loss, *torch.autograd.grad(loss, parameters)])
    once, twice, vsd = found
    torch.testing.assert_close(
        [2 * a - b for a, b in zip(once, twice, strict=True)], vsd, rtol=1e-3, atol=1e-5
    )
    fakes = [
        each.fake_score_loss("fake", roles, batch, draws)
        for each in (rcm(data), make(VSD, times=TIMES))
    ]
    torch.testing.assert_close(fakes[0].value, fakes[1].value)


@pytest.mark.parametrize("process", [PROCESS, LocalNoise()])
def test_1_without_its_unstable_part_the_tangent_is_the_teachers_direction(process):
    """Of which the process knows: velocity under flow matching, noise times dσ/dt under local."""
    batch, h = small(7)(Draws(("x",))), 0.01
    roles = Roles(process, ToyDenoiser(1), ToyDenoiser(0))
    time = torch.tensor([0.3, 0.7])
    assert batch.points is not None
    with torch.no_grad():
        noise = torch.randn(batch.shape, generator=torch.Generator().manual_seed(0))
        noisy = process.perturb(batch.points, noise, time, batch)
        student, teacher = (
            process.target(each(noisy, time, batch), batch)
            for each in (roles.student, module(roles.teacher))
        )
        found = tangent(roles, student, noisy, time, batch, h, share=0.0)
        whole = tangent(roles, student, noisy, time, batch, h)
        noise = process.noise_of(teacher, noisy, time, batch)
        moved = process.perturb(teacher, noise, time + h, batch)
        after = process.target(roles.student(moved, time + h, batch), batch)
    change = (process.sigma(time + h) - process.sigma(time)) / h
    if process is PROCESS:
        expected = (teacher - student) / (1 - time)[:, None, None]
    else:
        noises = noise - process.noise_of(student, noisy, time, batch)
        expected = change[:, None, None] * noises * batch.mask[..., None]
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(whole, (after - student) / h, rtol=1e-3, atol=1e-3)


class Way(nn.Module):
    """A share p of the way from a point to where its trajectory of N(m, .5²) ends."""

    def __init__(self, share: float):
        super().__init__()
        self.share = nn.Parameter(torch.tensor(share))

    def forward(self, noisy: Tensor, time: Tensor, batch: Batch, previous=None) -> Tensor:
        t = time[:, None, None]
        unit = (noisy - t * template(POINTS)) / ((t * STD) ** 2 + (1 - t) ** 2).sqrt()
        return noisy + self.share * (template(POINTS) + STD * unit - noisy)


def pull(share: float, difference: float = STEP) -> float:
    """Gradient in the share, the scores being the same."""
    student, teacher = Way(share), GaussianDenoiser(1.0, STD, POINTS).requires_grad_(False)
    roles = Roles(PROCESS, student, teacher, {"fake": teacher}, RollOut(PROCESS.times(2)))
    objective = rcm(data, difference=difference)
    loss = objective.student_loss(roles, blank([POINTS] * 2), Draws(("way",))).value
    return float(torch.autograd.grad(loss, student.share)[0])


def test_3_a_step_goes_towards_the_end():
    assert pull(0.7) < -1e-3 and pull(1.3) > 1e-3


def test_4_at_the_ends_of_the_trajectories_identical_scores_give_no_signal():
    """But for the error of Euler's step, which falls with it."""
    assert abs(pull(1.0, 0.001)) < 0.05 * min(abs(pull(0.7)), abs(pull(1.3)))


@every_roll_out
def test_2_every_trainable_role_learns_and_the_others_do_not(steps: int):
    check_roles_learn(rcm(small(8)), toy_roles(steps))


def test_5_padding_and_masked_points_change_nothing():
    def result(length: int, fill: float) -> list[Tensor]:
        mask = blank([5, 7], length).mask
        draws = SetDraws(("padding",), mask=mask, count=7, fill=fill)
        return losses_and_gradients(rcm(small(length)), 2, draws, length)

    torch.testing.assert_close(result(7, 0.0), result(12, 9.0), rtol=1e-3, atol=1e-5)


def test_5_permuting_points_changes_neither_loss_nor_gradient():
    found = [
        losses_and_gradients(rcm(small(7, (7, 7), order)), 2, draws, 7, (7, 7))
        for order, draws in orders()
    ]
    torch.testing.assert_close(*found, rtol=1e-3, atol=1e-5)


def test_scores_are_compared_after_the_warm_up_only():
    roles, objective = toy_roles(2), rcm(small(8), warmup=WARMUP)
    noted = [
        objective.student_loss(replace(roles, step=k), blank([6, 8]), Draws(("x",))).diagnostics
        for k in (WARMUP - 1, WARMUP)
    ]
    assert ["gap" in each for each in noted] == [False, True]
    assert all("tangent" in each for each in noted)


def test_the_latest_times_leave_room_for_the_difference():
    loss = rcm(small(8), 1.0, difference=0.1).student_loss(
        toy_roles(1), blank([6, 8]), Draws(("late",))
    )
    assert loss.value.isfinite() and "tangent_t0.9" in loss.diagnostics
