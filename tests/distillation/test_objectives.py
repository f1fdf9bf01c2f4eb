"""Contract: the six tests that every objective must pass; cases stand in gaussian_cases.py."""

import pytest
import torch
from distillation.gaussian_cases import (
    COUNT,
    PROCESS,
    SAMPLES,
    Case,
    Gaussians,
    Gradient,
    every_objective,
    every_roll_out,
    every_setting,
)
from distillation.learning import check_roles_learn, module
from distillation.make import one_time
from distillation.toy import (
    TIMES,
    GaussianDenoiser,
    GaussianStudent,
    SetDraws,
    ToyDenoiser,
    blank,
)
from torch import Tensor

from domains.batch import Batch
from domains.distillation.objectives.objective import Objective
from domains.distillation.roles import Draws, Roles, RollOut
from domains.distillation.sampling.sampler import renoise
from domains.distillation.times import Times

# Of all objectives together.
NAMES = ("fake", "winner", "loser", "phase1", "phase2")


def gaussian_roles(setting: Gaussians, steps: int) -> tuple[Roles, GaussianStudent]:
    times = PROCESS.times(steps)
    student = GaussianStudent(setting.shift, setting.std, COUNT, float(times[0]))
    teacher = GaussianDenoiser(1.0, setting.teacher_std, COUNT).requires_grad_(False)
    fake = GaussianDenoiser(setting.shift, setting.std, COUNT).requires_grad_(False)
    fakes = dict.fromkeys(NAMES, fake)
    return Roles(PROCESS, student, teacher, fakes, RollOut(times)), student


def gaussian_gradient(case: Case, setting: Gaussians, steps: int) -> Gradient:
    at = one_time(setting.time)
    roles, student = gaussian_roles(setting, steps)
    batch = blank([COUNT] * SAMPLES)
    loss = case.build(at).student_loss(roles, batch, Draws(("gaussian", case.name))).value
    found = torch.autograd.grad(loss, [student.shift, student.std])
    return float(found[0]), float(found[1])


def toy_roles(steps: int, *, deterministic: bool = False) -> Roles:
    roll_out = RollOut(PROCESS.times(steps), eta=1.0 - deterministic)
    fakes = {name: ToyDenoiser(2 + k) for k, name in enumerate(NAMES)}
    return Roles(PROCESS, ToyDenoiser(1), ToyDenoiser(0).requires_grad_(False), fakes, roll_out)


def losses_and_gradients(
    objective: Objective,
    steps: int,
    draws: Draws,
    length: int,
    sizes: tuple[int, ...] = (5, 7),
    *,
    deterministic: bool = False,
) -> list[Tensor]:
    """Both losses and their gradients, as a flat list."""
    roles, batch = toy_roles(steps, deterministic=deterministic), blank(sizes, length)
    found = []
    pairs = [(objective.student_loss(roles, batch, draws), roles.student)]
    for name in objective.fake_scores:
        pairs.append((objective.fake_score_loss(name, roles, batch, draws), roles.fakes[name]))
    for loss, network in pairs:
        found += [loss.value, *loss.diagnostics.values()]
        found += torch.autograd.grad(loss.value, list(module(network).parameters()))
    return found


@every_objective
@every_roll_out
@every_setting
def test_1_gradient_of_gaussians_is_the_known_one(case: Case, steps: int, setting: Gaussians):
    found = gaussian_gradient(case, setting, steps)
    expected = case.gradient(setting)
    # Absolute part: Monte-Carlo error where the expected derivative is zero by symmetry.
    assert found == pytest.approx(expected, rel=0.02, abs=0.01)
    assert max(map(abs, expected)) > 0.05


@every_objective
@every_roll_out
def test_1_fake_score_loss_is_least_at_the_students_own_score(case: Case, steps: int):
    setting = Gaussians(1.3, 0.6, 0.5, 0.6)
    roles, _ = gaussian_roles(setting, steps)
    fake = GaussianDenoiser(setting.shift, setting.std, COUNT)
    draws, batch = Draws(("fake",)), blank([COUNT] * SAMPLES)
    objective = case.build(Times(kind="beta", low=0.2, high=0.8))
    name = objective.fake_scores[0]
    roles = Roles(PROCESS, roles.student, roles.teacher, {name: fake}, roles.roll_out)

    def gradient(shift: float, std: float) -> Gradient:
        with torch.no_grad():
            fake.shift.fill_(shift), fake.std.fill_(std)
        loss = objective.fake_score_loss(name, roles, batch, draws).value
        by_shift, by_std = torch.autograd.grad(loss, [fake.shift, fake.std])
        return float(by_shift), float(by_std)

    assert gradient(1.3, 0.6) == pytest.approx((0, 0), abs=0.03)
    assert gradient(1.6, 0.6)[0] > 0.1 and gradient(1.0, 0.6)[0] < -0.1
    assert gradient(1.3, 0.9)[1] > 0.1 and gradient(1.3, 0.4)[1] < -0.1


@every_objective
@every_roll_out
def test_2_every_trainable_role_learns_and_the_frozen_teacher_does_not(case: Case, steps: int):
    check_roles_learn(case.build(TIMES), toy_roles(steps))


@every_objective
@every_roll_out
@every_setting
def test_3_a_student_step_lowers_its_divergence(case: Case, steps: int, setting: Gaussians):
    by_shift, by_std = gaussian_gradient(case, setting, steps)
    rate = 0.02 / max(abs(by_shift), abs(by_std))
    moved = Gaussians(
        setting.shift - rate * by_shift,
        setting.std - rate * by_std,
        setting.teacher_std,
        setting.time,
    )
    assert case.divergence(moved) < 0.99 * case.divergence(setting)


@every_objective
@every_roll_out
def test_4_identical_teacher_and_fake_score_give_no_signal(case: Case, steps: int):
    roles = toy_roles(steps)
    for fake in roles.fakes.values():
        module(fake).load_state_dict(module(roles.teacher).state_dict())
    loss = case.build(TIMES).student_loss(roles, blank([6, 8]), Draws(("same",))).value
    for gradient in torch.autograd.grad(loss, list(module(roles.student).parameters())):
        assert gradient.abs().max() < 1e-6


@every_objective
@every_roll_out
def test_5_padding_and_masked_points_change_nothing(case: Case, steps: int):
    def result(length: int, fill: float) -> list[Tensor]:
        mask = blank([5, 7], length).mask
        draws = SetDraws(("padding",), mask=mask, count=7, fill=fill)
        return losses_and_gradients(case.build(TIMES), steps, draws, length)

    torch.testing.assert_close(result(7, 0.0), result(12, 9.0), rtol=1e-4, atol=1e-6)


@every_objective
@every_roll_out
def test_5_permuting_points_changes_neither_loss_nor_gradient(case: Case, steps: int):
    order = torch.randperm(7, generator=torch.Generator().manual_seed(1))
    mask = blank([7, 7]).mask
    results = [
        losses_and_gradients(
            case.build(TIMES),
            steps,
            SetDraws(("order",), mask=mask, count=7, order=chosen),
            7,
            (7, 7),
        )
        for chosen in (None, order)
    ]
    torch.testing.assert_close(*results, rtol=1e-4, atol=1e-6)


@every_roll_out
@pytest.mark.parametrize("deterministic", [False, True])
def test_5_roll_out_is_centred_and_permutes_with_its_noise(steps: int, deterministic: bool):
    roles, batch = toy_roles(steps, deterministic=deterministic), blank([7, 7])
    order = torch.randperm(7, generator=torch.Generator().manual_seed(2))
    plain, permuted = (
        roles.play(
            batch, SetDraws(("play",), mask=batch.mask, count=7, order=chosen), gradient=False
        )
        for chosen in (None, order)
    )
    torch.testing.assert_close(permuted, plain[:, order])
    torch.testing.assert_close(plain.mean(1), torch.zeros(2, 3), atol=1e-6, rtol=0)
    assert plain.std() > 0.1


class Remembering(ToyDenoiser):
    """A student whose answer depends on its last one."""

    def forward(
        self, noisy: Tensor, time: Tensor, batch: Batch, previous: Tensor | None = None
    ) -> Tensor:
        plain = super().forward(noisy, time, batch)
        return plain if previous is None else plain + 0.3 * previous


@every_roll_out
@pytest.mark.parametrize("noise_scale", [1.0, 0.45])
@pytest.mark.parametrize("eta", [1.0, 0.4, 0.0], ids=["fresh", "mixed", "deterministic"])
@pytest.mark.parametrize("again", [False, True], ids=["plain", "self-conditioned"])
def test_6_training_roll_out_is_the_sampler(
    steps: int, noise_scale: float, eta: float, again: bool
):
    batch, student, draws = blank([5, 8]), Remembering(1), Draws(("roll-out",))
    roll_out = RollOut(PROCESS.times(steps), noise_scale, eta, again)
    noise, times = draws.noise("roll-out"), roll_out.times
    how = {"eta": eta, "self_conditioning": again}
    sampled = list(renoise(student, PROCESS, batch, times, noise, noise_scale, **how))
    assert len(sampled) == steps
    for step, reference in enumerate(sampled):
        played = roll_out.generate(student, PROCESS, batch, draws, gradient=True, step=step)
        assert torch.equal(played, PROCESS.target(reference.points, batch))
        assert played.requires_grad
