"""Contract: a discriminator beside an objective: six tests, with a judge that is known."""

import math
from collections.abc import Callable

import pytest
import torch
from distillation.gaussian_cases import CASES, PROCESS, Case, every_roll_out
from distillation.make import one_time, with_judge
from distillation.test_objectives import losses_and_gradients, module, toy_roles
from distillation.toy import TIMES, GaussianDenoiser, GaussianStudent, SetDraws, blank, template
from torch import Tensor, nn

from domains.batch import Batch
from domains.distillation.denoiser import Denoiser
from domains.distillation.objectives.adversarial import Adversarial
from domains.distillation.roles import Draws, Roles, RollOut

COUNT, SAMPLES, WEIGHT, CRITIC = 40, 64, 0.5, 0.25
BASES = [case for case in CASES if case.name in ("vsd", "sid")]
every_base = pytest.mark.parametrize("base", BASES, ids=lambda case: case.name)


def undecided(denoiser: Denoiser, noisy: Tensor, time: Tensor, batch: Batch):
    return denoiser(noisy, time, batch), torch.zeros_like(noisy[..., 0])


def by_size(denoiser: Denoiser, noisy: Tensor, time: Tensor, batch: Batch):
    """Thinks that far points are real ones, the more so the further the estimate is."""
    clean = denoiser(noisy, time, batch)
    return clean, (noisy * clean).sum(-1)


def real(draws: Draws) -> Batch:
    points = draws.noise("real data")((SAMPLES, COUNT, 3)) + template(COUNT)
    return Batch(torch.ones(SAMPLES, COUNT, dtype=torch.bool), points)


def small(
    length: int, sizes: tuple[int, int] = (5, 7), order: Tensor | None = None
) -> Callable[[Draws], Batch]:
    """As many as the toy batches have, with rubbish in the padding; its points in an order."""
    mask = blank(sizes, length).mask
    points = torch.arange(42.0).reshape(2, 7, 3).cos()
    points = points if order is None else points[:, order]
    padded = nn.functional.pad(points, (0, 0, 0, length - 7))
    return lambda draws: Batch(mask, torch.where(mask[..., None], padded, 7.0))


def adversarial(base: Case, judge=by_size, examples=real, times=TIMES) -> Adversarial:
    return with_judge(base.build(times), judge, examples, WEIGHT, CRITIC)


def gaussian_roles(std: float = 0.5) -> tuple[Roles, GaussianStudent, GaussianDenoiser]:
    times = PROCESS.times(1)
    student = GaussianStudent(1.0, std, COUNT, float(times[0]))
    teacher = GaussianDenoiser(1.0, 0.5, COUNT).requires_grad_(False)
    fake = GaussianDenoiser(1.0, std, COUNT).requires_grad_(False)
    return Roles(PROCESS, student, teacher, {"fake": fake}, RollOut(times)), student, fake


@every_base
def test_1_an_undecided_judge_adds_log_2_and_no_gradient(base: Case):
    roles, student, fake = gaussian_roles(0.8)
    batch, draws = blank([COUNT] * SAMPLES), Draws(("undecided",))
    plain, judged = base.build(TIMES), adversarial(base, undecided)
    losses = [one.student_loss(roles, batch, draws).value for one in (plain, judged)]
    torch.testing.assert_close(losses[1] - losses[0], torch.tensor(WEIGHT * math.log(2)))
    gradients = [torch.autograd.grad(loss, [student.shift, student.std]) for loss in losses]
    torch.testing.assert_close(*gradients)
    fake.requires_grad_(True)
    critics = [one.fake_score_loss("fake", roles, batch, draws).value for one in (plain, judged)]
    torch.testing.assert_close(critics[1] - critics[0], torch.tensor(CRITIC * 2 * math.log(2)))


@every_base
def test_1_gradient_of_the_students_term_is_the_known_one(base: Case):
    """One time, one roll-out step: x = m + c ε, x_t = t x + b ε', logit = x_t · D_F(x_t)."""
    at = one_time(0.6)
    roles, student, fake = gaussian_roles(0.8)
    batch, draws = blank([COUNT] * SAMPLES), Draws(("known",))
    losses = [
        objective.student_loss(roles, batch, draws).value
        for objective in (base.build(at), adversarial(base, times=at))
    ]
    found = torch.autograd.grad(losses[1] - losses[0], [student.std])[0]
    clean = roles.play(batch, draws, gradient=False)
    slope = (clean - clean.mean(1, keepdim=True) - template(COUNT)) / 0.8  # dx/dc
    noise = draws.noise("noise")(batch.shape)
    noisy = PROCESS.perturb(clean, noise, torch.full((SAMPLES,), 0.6), batch).requires_grad_()
    logits = by_size(fake, noisy, torch.full((SAMPLES,), 0.6), batch)[1]
    by_point = torch.autograd.grad(torch.nn.functional.softplus(-logits).mean(), noisy)[0]
    expected = WEIGHT * (by_point * 0.6 * slope).sum()
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-6)
    assert abs(expected) > 1e-4


@every_base
@every_roll_out
def test_2_every_trainable_role_learns_and_the_others_do_not(base: Case, steps: int):
    check_who_learns(adversarial(base, examples=small(7)), steps)


def check_who_learns(objective: Adversarial, steps: int) -> None:
    """The student by its loss, the fake score by its own, and nobody else."""
    roles = toy_roles(steps)
    batch, draws = blank([6, 8]), Draws(("roles",))
    student, fake = module(roles.student), module(roles.fakes["fake"]).requires_grad_(False)
    objective.student_loss(roles, batch, draws).value.backward()
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in student.parameters())
    assert all(p.grad is None for p in (*fake.parameters(), *module(roles.teacher).parameters()))
    student.zero_grad()
    fake.requires_grad_(True)
    objective.fake_score_loss("fake", roles, batch, draws).value.backward()
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in fake.parameters())
    assert all(p.grad is None for p in student.parameters())


@every_base
def test_3_a_student_step_looks_more_real(base: Case):
    """The judge takes far points for real ones: the student's term must spread the samples."""
    roles, student, _ = gaussian_roles(0.5)  # at the teacher: the base gives no signal
    batch, draws = blank([COUNT] * SAMPLES), Draws(("step",))
    noted = adversarial(base).student_loss(roles, batch, draws)
    (by_std,) = torch.autograd.grad(noted.value, [student.std])
    with torch.no_grad():
        student.std.sub_(0.1 * by_std.sign())
    after = adversarial(base).student_loss(roles, batch, draws)
    assert after.diagnostics["adversarial"] < noted.diagnostics["adversarial"]
    assert student.std > 0.5


@pytest.mark.parametrize(("sign", "right"), [(1.0, True), (-1.0, False)])
def test_4_the_critic_is_best_where_data_and_samples_are_told_apart(sign: float, right: bool):
    """Data with standard deviation 1 beside samples with .2, at t = .9."""
    middle = 3 * COUNT * (0.9**2 * (1 + (1 + 0.2**2) / 2) + 0.1**2)

    def judge(denoiser: Denoiser, noisy: Tensor, time: Tensor, batch: Batch):
        size = noisy.square().sum((1, 2), keepdim=True)[..., 0]
        logits = 0.1 * sign * (size - middle)
        return denoiser(noisy, time, batch), logits.expand(batch.mask.shape)

    objective = adversarial(BASES[0], judge, times=one_time(0.9))
    roles, _, _ = gaussian_roles(0.2)
    loss = objective.fake_score_loss("fake", roles, blank([COUNT] * SAMPLES), Draws(("critic",)))
    critic, told = (float(loss.diagnostics[name]) for name in ("critic", "told_apart"))
    assert (critic < 0.3 and told > 0.95) if right else (critic > 3 and told < 0.05)


@every_base
def test_5_padding_and_masked_points_change_nothing(base: Case):
    def result(length: int, fill: float) -> list[Tensor]:
        mask = blank([5, 7], length).mask
        draws = SetDraws(("padding",), mask=mask, count=7, fill=fill)
        objective = adversarial(base, examples=small(length))
        return losses_and_gradients(objective, 1, draws, length)

    torch.testing.assert_close(result(7, 0.0), result(12, 9.0), rtol=1e-4, atol=1e-6)


def orders() -> list[tuple[Tensor | None, SetDraws]]:
    """The points as they are, and permuted with all of their noise."""
    order, mask = torch.randperm(7, generator=torch.Generator().manual_seed(1)), blank([7, 7]).mask
    return [(o, SetDraws(("order",), mask=mask, count=7, order=o)) for o in (None, order)]


@every_base
def test_5_permuting_points_changes_neither_loss_nor_gradient(base: Case):
    found = [
        losses_and_gradients(
            adversarial(base, examples=small(7, (7, 7), order)), 2, draws, 7, (7, 7)
        )
        for order, draws in orders()
    ]
    torch.testing.assert_close(*found, rtol=1e-4, atol=1e-6)
