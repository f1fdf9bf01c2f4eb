"""Contract: Phased DMD is VSD in each phase of a roll-out, up to its noise; six tests, its bounds.

The cases of one phase stand among those of all objectives; here the roll-out has four steps in
two phases. Gradients are derived by hand in both kinds of roll-out (names as in test_tdm.py and
gaussian_cases.py): with fresh noise the phase's samples are N(a m, c²), noised to its end; along
the ODE they are μ m + s ε, which ``landed`` knows.
"""

from dataclasses import replace

import pytest
import torch
from distillation.gaussian_cases import (
    COUNT,
    PROCESS,
    SAMPLES,
    Gaussians,
    Gradient,
    every_setting,
    reverse_kl,
    vsd_gradient,
)
from distillation.make import make, one_time
from distillation.test_adversarial import orders
from distillation.test_objectives import losses_and_gradients, module, toy_roles
from distillation.toy import (
    TIMES,
    GaussianDenoiser,
    GaussianStudent,
    SetDraws,
    ToyDenoiser,
    blank,
)
from distillation.trajectory_cases import TEACHER_STD, Chosen, Trajectory, gradient_by_hand
from torch import Tensor

from domains.distillation.objectives.phased_dmd import PhasedDMD
from domains.distillation.objectives.vsd import VSD
from domains.distillation.roles import Draws, Roles, RollOut
from domains.distillation.sampling.sampler import renoise
from domains.distillation.times import Times

STEPS = 4
every_step = pytest.mark.parametrize("step", range(STEPS))
both_roll_outs = pytest.mark.parametrize("fixed", [False, True], ids=["fresh", "deterministic"])


def phased(times: Times = TIMES, phases: int = 2) -> PhasedDMD:
    return make(PhasedDMD, times=times, phases=phases)


def name_of(step: int) -> str:
    return f"phase{1 + step // 2}"


@every_step
@every_setting
def test_1_gradient_of_gaussians_is_the_known_one(step: int, setting: Gaussians):
    times = PROCESS.times(STEPS)
    student = GaussianStudent(setting.shift, setting.std, COUNT, float(times[0]))
    teacher = GaussianDenoiser(1.0, setting.teacher_std, COUNT).requires_grad_(False)
    # Only the score of the step's own phase is right.
    fakes = {name: GaussianDenoiser(9.0, 0.1, COUNT) for name in ("phase1", "phase2")}
    fakes[name_of(step)] = GaussianDenoiser(setting.shift, setting.std, COUNT)
    roles = Roles(PROCESS, student, teacher, fakes, RollOut(times))
    at = one_time(setting.time)
    draws, batch = Chosen(("known",), step=step), blank([COUNT] * SAMPLES)
    loss = phased(at).student_loss(roles, batch, draws).value
    found = torch.autograd.grad(loss, [student.shift, student.std])
    assert [float(g) for g in found] == pytest.approx(vsd_gradient(setting), rel=0.02, abs=0.01)


def trajectory(shift: float, std: float) -> tuple[Roles, Trajectory]:
    times = torch.tensor([0.1, 0.3, 0.5, 0.7])
    student = Trajectory(shift, std, times)
    teacher = GaussianDenoiser(1.0, TEACHER_STD, COUNT).requires_grad_(False)
    return Roles(PROCESS, student, teacher, {}, RollOut(times, eta=0.0)), student


def landed(student: Trajectory, step: int) -> tuple[float, Gradient]:
    """End of the step's phase, and μ and s where one Euler step leads there."""
    time, end = student.times[step], 0.5 if step < 2 else 1.0
    h = (1 - end) / (1 - time)
    (mean, spread), g = student.places()[step], end - h * time
    shift, std = student.shift.item(), student.std.item()
    return end, (h * mean + g * shift, h * spread + g * std)


def marginal(student: Trajectory, step: int) -> Gradient:
    """Shift and std of the data whose noised marginals are those of the step's phase."""
    end, (mean, spread) = landed(student, step)
    return mean / end, (spread**2 - (1 - end) ** 2) ** 0.5 / end


def found_and_known(shift: float, std: float, step: int, tau: float) -> tuple[Gradient, Gradient]:
    """The student's gradient at one step and time, and the same by hand."""
    roles, student = trajectory(shift, std)
    end, place = landed(student, step)
    like = marginal(student, step)
    fakes = {name_of(step): GaussianDenoiser(*like, COUNT)}
    objective = phased(one_time(tau))
    draws, batch = Chosen(("known",), step=step), blank([COUNT] * SAMPLES)
    loss = objective.student_loss(replace(roles, fakes=fakes), batch, draws).value
    found = torch.autograd.grad(loss, [student.shift, student.std])
    by_hand = gradient_by_hand((shift, std), place, end, tau, like[1])
    return (float(found[0]), float(found[1])), by_hand


ALONG = [(1.0, 0.9), (1.4, 0.7), (0.6, 0.6)]


@every_step
@pytest.mark.parametrize(("shift", "std"), ALONG)
@pytest.mark.parametrize("tau", [0.25, 0.45], ids=["early", "late"])
def test_1_gradient_along_the_ode_is_the_known_one(shift: float, std: float, step: int, tau: float):
    found, by_hand = found_and_known(shift, std, step, tau)
    assert found == pytest.approx(by_hand, rel=0.02, abs=0.01)
    assert max(map(abs, by_hand)) > 0.02


@both_roll_outs
def test_1_with_one_phase_and_step_it_is_vsd(fixed: bool):
    batch, draws = blank([5, 7]), Draws(("same",))
    found = []
    for objective in (phased(phases=1), make(VSD, times=TIMES)):
        roles = toy_roles(1, deterministic=fixed)
        name = objective.fake_scores[0]
        module(roles.fakes[name]).load_state_dict(ToyDenoiser(7).state_dict())
        student = objective.student_loss(roles, batch, draws)
        fake = objective.fake_score_loss(name, roles, batch, draws)
        found.append([student.value, fake.value])
        for loss, network in ((student, roles.student), (fake, roles.fakes[name])):
            found[-1] += torch.autograd.grad(loss.value, list(module(network).parameters()))
    torch.testing.assert_close(*found, rtol=1e-4, atol=1e-6)


@both_roll_outs
@every_step
def test_1_fake_score_loss_is_least_at_the_score_of_its_phase(step: int, fixed: bool):
    roles, student = trajectory(1.3, 0.8)
    shift, std = marginal(student, step)
    if not fixed:
        times = roles.rolled.times
        other = GaussianStudent(1.3, 0.8, COUNT, float(times[0]))
        roles, (shift, std) = replace(roles, student=other, roll_out=RollOut(times)), (1.3, 0.8)

    def gradient(by_shift: float, by_std: float) -> Gradient:
        fake = GaussianDenoiser(shift + by_shift, std + by_std, COUNT)
        # Draws are from the start of the phase.
        draws, batch = Chosen(("fake",), step=step % 2), blank([COUNT] * SAMPLES)
        objective = phased(Times(kind="uniform", low=0.2, high=0.9))
        given = replace(roles, fakes={name_of(step): fake})
        loss = objective.fake_score_loss(name_of(step), given, batch, draws)
        found = torch.autograd.grad(loss.value, [fake.shift, fake.std])
        return float(found[0]), float(found[1])

    scale = abs(gradient(0.3, 0.0)[0])
    assert max(map(abs, gradient(0.0, 0.0))) < 0.1 * scale
    assert gradient(0.3, 0.0)[0] > 0 > gradient(-0.3, 0.0)[0]
    assert gradient(0.0, 0.2)[1] > 0 > gradient(0.0, -0.2)[1]


@both_roll_outs
@every_step
def test_2_the_student_and_the_score_of_the_phase_learn_and_the_others_do_not(
    step: int, fixed: bool
):
    roles, batch = toy_roles(STEPS, deterministic=fixed), blank([6, 8])
    student, teacher = module(roles.student), module(roles.teacher)
    fakes = {name: module(roles.fakes[name]) for name in ("phase1", "phase2")}
    phased().student_loss(roles, batch, Chosen(("roles",), step=step)).value.backward()
    for frozen in (*fakes.values(), teacher):
        assert all(p.grad is None for p in frozen.parameters())
    for name, parameter in student.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all()
        assert parameter.grad.abs().max() > 0 or name == "drop.bias"
    student.zero_grad()
    own = name_of(step)
    loss = phased().fake_score_loss(own, roles, batch, Chosen(("roles",), step=step % 2))
    loss.value.backward()
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in fakes[own].parameters())
    for other in (*(fakes[name] for name in fakes if name != own), student, teacher):
        assert all(p.grad is None for p in other.parameters())


@every_step
@pytest.mark.parametrize(("shift", "std"), ALONG)
def test_3_a_student_step_lowers_its_divergence(shift: float, std: float, step: int):
    (by_shift, by_std), _ = found_and_known(shift, std, step, 0.4)
    rate = 0.02 / max(abs(by_shift), abs(by_std))

    def divergence(shift: float, std: float) -> float:
        _, student = trajectory(shift, std)
        return reverse_kl(Gaussians(*marginal(student, step), TEACHER_STD, 0.4))

    moved = divergence(shift - rate * by_shift, std - rate * by_std)
    assert moved < 0.99 * divergence(shift, std)


@both_roll_outs
@every_step
def test_4_identical_teacher_and_fake_score_give_no_signal(step: int, fixed: bool):
    roles = toy_roles(STEPS, deterministic=fixed)
    module(roles.fakes[name_of(step)]).load_state_dict(module(roles.teacher).state_dict())
    loss = phased().student_loss(roles, blank([6, 8]), Chosen(("same",), step=step)).value
    for gradient in torch.autograd.grad(loss, list(module(roles.student).parameters())):
        assert gradient.abs().max() < 1e-6


@both_roll_outs
def test_5_padding_and_masked_points_change_nothing(fixed: bool):
    def result(length: int, fill: float) -> list[Tensor]:
        mask = blank([5, 7], length).mask
        draws = SetDraws(("padding",), mask=mask, count=7, fill=fill)
        return losses_and_gradients(phased(), STEPS, draws, length, deterministic=fixed)

    torch.testing.assert_close(result(7, 0.0), result(12, 9.0), rtol=1e-4, atol=1e-6)


@both_roll_outs
def test_5_permuting_points_changes_neither_loss_nor_gradient(fixed: bool):
    found = [
        losses_and_gradients(phased(), STEPS, draws, 7, (7, 7), deterministic=fixed)
        for _, draws in orders()
    ]
    # Targets are large where little is added, and so is what rounding leaves of their sums.
    torch.testing.assert_close(*found, rtol=1e-4, atol=1e-5)


@both_roll_outs
def test_6_a_phase_ends_where_the_sampler_begins_the_next(fixed: bool):
    batch, student, draws = blank([5, 8]), ToyDenoiser(1), Draws(("sampler",))
    rolled = RollOut(PROCESS.times(STEPS), eta=1.0 - fixed)
    noise = draws.noise("roll-out")
    sampled = list(renoise(student, PROCESS, batch, rolled.times, noise, eta=1.0 - fixed))
    # The latest time of the phase: nothing is diffused.
    end = float(rolled.times[2])
    times = one_time(end)
    roles = Roles(PROCESS, student, roll_out=rolled)
    at = phased()._land(1, roles, batch, draws, times, gradient=True)
    assert at.clean.requires_grad and not at.noisy.requires_grad
    torch.testing.assert_close(at.clean, PROCESS.target(sampled[1].clean, batch))
    if fixed:
        torch.testing.assert_close(at.noisy, sampled[2].noisy, rtol=0, atol=5e-3)
        return
    # The sampler's noise is as fresh: only its numbers differ.
    own, time = draws.noise("end of phase")(batch.shape), torch.full((2,), end)
    expected = PROCESS.perturb(sampled[1].clean, own, time, batch)
    torch.testing.assert_close(at.noisy, expected, rtol=0, atol=5e-3)


@pytest.mark.parametrize(
    ("steps", "phases", "expected"),
    [(4, 2, [0, 0, 1, 1]), (5, 2, [0, 0, 0, 1, 1]), (3, 3, [0, 1, 2]), (8, 3, None)],
)
def test_every_step_is_of_one_phase(steps: int, phases: int, expected: list[int] | None):
    roles, objective = toy_roles(steps), phased(phases=phases)
    found = [objective._phase(step, roles) for step in range(steps)]
    assert found == sorted(found) and set(found) == set(range(phases))
    assert expected is None or found == expected
    parts = [objective._steps(phase, roles) for phase in range(phases)]
    assert [k for first, after in parts for k in range(first, after)] == list(range(steps))
    sizes = [after - first for first, after in parts]
    assert max(sizes) - min(sizes) <= 1
    assert objective.fake_scores == tuple(f"phase{k + 1}" for k in range(phases))


@every_step
def test_times_reach_from_noise_to_the_end_of_the_phase(step: int):
    roles = Roles(PROCESS, ToyDenoiser(1), roll_out=RollOut(PROCESS.times(STEPS)))
    times, batch = Times(kind="uniform", low=0.02, high=0.995), blank([3] * 200)
    found = phased()._land(step, roles, batch, Draws(("times",)), times, gradient=False).time
    end = float(roles.rolled.times[2]) if step < 2 else 0.995
    assert found.min() >= 0.02 - 1e-6 and found.max() <= end + 1e-6
    assert found.std() == pytest.approx((end - 0.02) / 12**0.5, rel=0.1)
