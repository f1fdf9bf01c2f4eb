"""Contract: TDM is VSD along a deterministic roll-out, step by step; six tests and its bounds."""

from dataclasses import replace

import pytest
import torch
from distillation.gaussian_cases import (
    COUNT,
    PROCESS,
    SAMPLES,
    Gaussians,
    Gradient,
    every_roll_out,
    reverse_kl,
)
from distillation.learning import check_roles_learn
from distillation.make import make, one_time
from distillation.test_adversarial import orders
from distillation.test_objectives import losses_and_gradients, module, toy_roles
from distillation.toy import TIMES, GaussianDenoiser, SetDraws, ToyDenoiser, blank
from distillation.trajectory_cases import (
    TEACHER_STD,
    Chosen,
    Flow,
    Trajectory,
    gradient_by_hand,
    inside,
    marginal,
)
from torch import Tensor

from domains.distillation.objectives.tdm import TDM, FakeTarget, diffuse
from domains.distillation.objectives.vsd import VSD
from domains.distillation.roles import Draws, Roles, RollOut
from domains.distillation.sampling.sampler import renoise
from domains.distillation.times import Times

STEPS = 4
every_target = pytest.mark.parametrize("target", ["clean", "interval"])
every_step = pytest.mark.parametrize("step", range(STEPS))


def tdm(target: FakeTarget = "clean", times: Times = TIMES) -> TDM:
    return make(TDM, times=times, fake_target=target)


def known(shift: float, std: float) -> tuple[Roles, Trajectory]:
    times = torch.tensor([0.1, 0.3, 0.5, 0.7])
    student = Trajectory(shift, std, times)
    teacher = GaussianDenoiser(1.0, TEACHER_STD, COUNT).requires_grad_(False)
    return Roles(PROCESS, student, teacher, {}, RollOut(times, eta=0.0)), student


def found_and_known(shift: float, std: float, step: int) -> tuple[Gradient, Gradient]:
    """The student's gradient at one step and time, and the same by hand."""
    roles, student = known(shift, std)
    end, place = student.times[step + 1], student.places()[step + 1]
    like = marginal(student, step)
    fake = GaussianDenoiser(*like, COUNT).requires_grad_(False)
    tau = inside(student, step)
    objective = tdm(times=one_time(tau))
    draws, batch = Chosen(("known",), step=step), blank([COUNT] * SAMPLES)
    loss = objective.student_loss(replace(roles, fakes={"fake": fake}), batch, draws).value
    found = torch.autograd.grad(loss, [student.shift, student.std])
    by_hand = gradient_by_hand((shift, std), place, end, tau, like[1])
    return (float(found[0]), float(found[1])), by_hand


@every_step
@pytest.mark.parametrize(("shift", "std"), [(1.0, 0.9), (1.4, 0.7), (0.6, 0.6)])
def test_1_gradient_of_gaussians_is_the_known_one(shift: float, std: float, step: int):
    found, by_hand = found_and_known(shift, std, step)
    assert found == pytest.approx(by_hand, rel=0.02, abs=0.01)
    assert max(map(abs, by_hand)) > 0.05


@every_target
def test_1_with_one_step_it_is_vsd(target: FakeTarget):
    batch, draws = blank([5, 7]), Draws(("same",))
    found = []
    for objective in (tdm(target), make(VSD, times=TIMES)):
        roles = toy_roles(1, deterministic=True)
        student = objective.student_loss(roles, batch, draws)
        fake = objective.fake_score_loss("fake", roles, batch, draws)
        found.append([student.value, fake.value])
        for loss, network in ((student, roles.student), (fake, roles.fakes["fake"])):
            found[-1] += torch.autograd.grad(loss.value, list(module(network).parameters()))
    torch.testing.assert_close(*found, rtol=1e-4, atol=1e-6)


def fake_gradient(roles: Roles, step: int, target: FakeTarget, at: Gradient) -> Gradient:
    """Gradient of the fake score's loss in the shift and std of a Gaussian fake score."""
    fake = GaussianDenoiser(*at, COUNT)
    draws, batch = Chosen(("fake",), step=step), blank([COUNT] * SAMPLES)
    objective = tdm(target, Times(kind="uniform", low=0.2, high=0.9))
    loss = objective.fake_score_loss("fake", replace(roles, fakes={"fake": fake}), batch, draws)
    found = torch.autograd.grad(loss.value, [fake.shift, fake.std])
    return float(found[0]), float(found[1])


@every_step
def test_1_fake_score_loss_is_least_at_the_trajectorys_own_score(step: int):
    roles, student = known(1.3, 0.8)
    shift, std = marginal(student, step)

    def gradient(by_shift: float, by_std: float) -> Gradient:
        return fake_gradient(roles, step, "interval", (shift + by_shift, std + by_std))

    scale = abs(gradient(0.3, 0.0)[0])
    assert max(map(abs, gradient(0.0, 0.0))) < 0.1 * scale
    assert gradient(0.3, 0.0)[0] > 0 > gradient(-0.3, 0.0)[0]
    assert gradient(0.0, 0.2)[1] > 0 > gradient(0.0, -0.2)[1]


def test_1_a_perfect_student_is_at_rest_by_its_interval_score_and_not_by_the_papers():
    """With the paper's target the fake score leaves the teacher's, the more the larger steps are.

    In both roll-outs the step is that to t = .6.
    """

    def pull(steps: int, target: FakeTarget) -> float:
        times = torch.arange(steps) / steps
        roll_out = RollOut(times, eta=0.0)
        roles = Roles(PROCESS, Flow(times), GaussianDenoiser(1.0, 0.5, COUNT), {}, roll_out)
        return fake_gradient(roles, round(0.6 * steps) - 1, target, (1.0, TEACHER_STD))[1]

    assert abs(pull(5, "interval")) < 0.01 and abs(pull(80, "interval")) < 0.01
    assert abs(pull(5, "clean")) > 0.1
    assert abs(pull(80, "clean")) < 0.3 * abs(pull(5, "clean"))


@every_target
@every_roll_out
def test_2_every_trainable_role_learns_and_the_others_do_not(steps: int, target: FakeTarget):
    check_roles_learn(tdm(target), toy_roles(steps, deterministic=True))


@every_step
@pytest.mark.parametrize(("shift", "std"), [(1.0, 0.9), (1.4, 0.7), (0.6, 0.6)])
def test_3_a_student_step_lowers_its_divergence(shift: float, std: float, step: int):
    (by_shift, by_std), _ = found_and_known(shift, std, step)
    rate = 0.02 / max(abs(by_shift), abs(by_std))

    def divergence(shift: float, std: float) -> float:
        _, student = known(shift, std)
        like = marginal(student, step)
        return reverse_kl(Gaussians(*like, TEACHER_STD, inside(student, step)))

    moved = divergence(shift - rate * by_shift, std - rate * by_std)
    assert moved < 0.99 * divergence(shift, std)


@every_roll_out
def test_4_identical_teacher_and_fake_score_give_no_signal(steps: int):
    roles = toy_roles(steps, deterministic=True)
    module(roles.fakes["fake"]).load_state_dict(module(roles.teacher).state_dict())
    loss = tdm().student_loss(roles, blank([6, 8]), Draws(("same",))).value
    for gradient in torch.autograd.grad(loss, list(module(roles.student).parameters())):
        assert gradient.abs().max() < 1e-6


@every_target
@every_roll_out
def test_5_padding_and_masked_points_change_nothing(steps: int, target: FakeTarget):
    def result(length: int, fill: float) -> list[Tensor]:
        mask = blank([5, 7], length).mask
        draws = SetDraws(("padding",), mask=mask, count=7, fill=fill)
        return losses_and_gradients(tdm(target), steps, draws, length, deterministic=True)

    torch.testing.assert_close(result(7, 0.0), result(12, 9.0), rtol=1e-4, atol=1e-6)


@every_target
@every_roll_out
def test_5_permuting_points_changes_neither_loss_nor_gradient(steps: int, target: FakeTarget):
    found = [
        losses_and_gradients(tdm(target), steps, draws, 7, (7, 7), deterministic=True)
        for _, draws in orders()
    ]
    torch.testing.assert_close(*found, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("step", range(STEPS - 1))
def test_6_a_step_leads_to_where_the_sampler_takes_the_next(step: int):
    batch, student, draws = blank([5, 8]), ToyDenoiser(1), Chosen(("sampler",), step=step)
    roll_out = RollOut(PROCESS.times(STEPS), eta=0.0)
    noise = draws.noise("roll-out")
    played = renoise(student, PROCESS, batch, roll_out.times, noise, eta=0.0)
    sampled = list(played)
    # The latest time of the stretch: nothing is diffused.
    after = float(roll_out.times[step + 1])
    times = one_time(after)
    found = diffuse(Roles(PROCESS, student, roll_out=roll_out), batch, draws, times, gradient=True)
    assert found.clean.requires_grad and not found.noisy.requires_grad
    torch.testing.assert_close(found.clean, PROCESS.target(sampled[step].clean, batch))
    torch.testing.assert_close(found.noisy, sampled[step + 1].noisy, rtol=0, atol=5e-3)


@every_step
def test_times_are_those_of_the_step(step: int):
    roll_out = RollOut(PROCESS.times(STEPS), eta=0.0)
    roles = Roles(PROCESS, ToyDenoiser(1), roll_out=roll_out)
    batch = blank([3] * 200)
    draws = Chosen(("times",), step=step)
    times = Times(kind="uniform", low=0.02, high=0.995)
    found = diffuse(roles, batch, draws, times, gradient=False).time
    edges = [0.02, *roll_out.times[1:].tolist(), 0.995]
    low, high = edges[step], edges[step + 1]
    assert found.min() >= low - 1e-6 and found.max() <= high + 1e-6
    assert found.std() == pytest.approx((high - low) / 12**0.5, rel=0.1)


def test_importance_prefers_noise_that_is_likely_from_the_clean_estimate():
    roles = toy_roles(STEPS, deterministic=True)
    batch = blank([6, 8])
    at = diffuse(roles, batch, Chosen(("weight",), step=0), TIMES, gradient=False)
    weights = at.importance(batch)
    less = replace(at, noise=0.5 * at.noise).importance(batch)
    assert (less > weights).all()
    ones = replace(at, noise=at.fresh).importance(batch)
    torch.testing.assert_close(ones, torch.ones(2))
