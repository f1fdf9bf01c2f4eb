"""Contract: Diffusion-DPO makes a denoiser of what is preferred, held by its frozen reference."""

import math
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from distillation.gaussian_cases import COUNT, DEGREES, PROCESS, SAMPLES, every_roll_out, smaller
from distillation.make import make, one_time
from distillation.test_adversarial import orders
from distillation.test_objectives import losses_and_gradients, module, toy_roles
from distillation.toy import GaussianDenoiser, SetDraws, blank, slope
from torch import Tensor
from torch.nn import functional as F

from domains.batch import Batch
from domains.distillation.objectives.diffusion_dpo import DiffusionDPO, alignment_loss
from domains.distillation.roles import Draws, Roles, RollOut
from domains.distillation.sampling.sampler import last, renoise
from domains.distillation.times import Times

NARROW = Times(kind="uniform", low=0.2, high=0.8)


def dpo(preference: Callable = smaller, noise: float = 1.5, times: Times = NARROW) -> DiffusionDPO:
    return make(DiffusionDPO, times=times, prefers=preference, pair_noise=noise, beta=2.0)


def larger(points: Tensor, batch: Batch) -> Tensor:
    return -smaller(points, batch)


def gaussian_roles(shift: float = 1.0, std: float = 0.8) -> tuple[Roles, GaussianDenoiser]:
    """A reference N(m, .8²) and the network, which is trained."""
    student = GaussianDenoiser(shift, std, COUNT)
    reference = GaussianDenoiser(1.0, 0.8, COUNT).requires_grad_(False)
    return Roles(PROCESS, student, reference, {}, RollOut(PROCESS.times(1))), student


def error(shift: Tensor, std: Tensor, data: tuple[float, float], t: float) -> Tensor:
    """E|x − D|²/(1 − t)² of a coordinate, x = a m + s ε: D = (1 − t k) shift m + k x_t."""
    k = slope(std, torch.tensor(t, dtype=torch.float64))
    (a, s), fixed = data, 1 - t * k
    spread = (fixed * s) ** 2 + (k * (1 - t)) ** 2
    return ((fixed * (a - shift)) ** 2 + DEGREES * spread) / (1 - t) ** 2


@pytest.mark.parametrize("preference", [smaller, larger])
@pytest.mark.parametrize("t", [0.3, 0.7])
@pytest.mark.parametrize(("shift", "std"), [(1.0, 0.8), (1.1, 0.7)])
def test_1_loss_and_gradient_of_gaussians_are_the_known_ones(
    preference: Callable, t: float, shift: float, std: float
):
    """A roll-out of one step at t_0 gives N((1 − t_0 k) m, (γ k (1 − t_0))²), k that of .8."""
    roles, student = gaussian_roles(shift, std)
    first = float(PROCESS.times(1))
    k = float(slope(0.8, torch.tensor(first)))
    pair = [(1 - first * k, k * (1 - first) * noise) for noise in (1.0, 1.5)]
    winner, loser = pair if preference is smaller else pair[::-1]
    objective = dpo(preference, times=one_time(t))
    draws, batch = Draws(("known",)), blank([COUNT] * SAMPLES)
    loss = objective.student_loss(roles, batch, draws).value
    found = torch.autograd.grad(loss, [student.shift, student.std])
    own = [torch.tensor(v, dtype=torch.float64, requires_grad=True) for v in (shift, std)]
    reference = [torch.tensor(v, dtype=torch.float64) for v in (1.0, 0.8)]
    above = [error(*own, data, t) - error(*reference, data, t) for data in (winner, loser)]
    expected = -F.logsigmoid(-(above[0] - above[1]))  # β/2 = 1
    by_hand = torch.autograd.grad(expected, own)
    assert loss.item() == pytest.approx(expected.item(), rel=0.01)
    found, by_hand = [float(g) for g in found], [float(g) for g in by_hand]
    assert found == pytest.approx(by_hand, rel=0.03, abs=0.005)
    assert abs(by_hand[1]) > 0.04


def test_1_at_the_reference_the_gradient_is_a_quarter_of_beta_times_the_errors():
    winner, loser = (torch.zeros(3, requires_grad=True) for _ in range(2))
    loss = alignment_loss(winner, loser, 5000.0)
    torch.testing.assert_close(loss, torch.full((3,), math.log(2)))
    by_winner, by_loser = torch.autograd.grad(loss.sum(), [winner, loser])
    torch.testing.assert_close(by_winner, torch.full((3,), 1250.0))
    torch.testing.assert_close(by_loser, -by_winner)


@every_roll_out
def test_2_only_the_network_learns(steps: int):
    roles, batch, draws = toy_roles(steps), blank([6, 8]), Draws(("roles",))
    student, reference = module(roles.student), module(roles.teacher)
    # The reference draws the pairs, so it is at rest only if it is asked without gradient.
    reference.requires_grad_(True)
    dpo().student_loss(roles, batch, draws).value.backward()
    assert all(p.grad is None for p in reference.parameters())
    for parameter in student.parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all()
        assert parameter.grad.abs().max() > 0
    with pytest.raises(ValueError, match="no fake score"):
        dpo().fake_score_loss("fake", roles, batch, draws)


@pytest.mark.parametrize("preference", [smaller, larger])
def test_3_a_step_goes_towards_the_preferred_and_away_from_the_other(preference: Callable):
    roles, student = gaussian_roles()
    draws, batch = Draws(("step",)), blank([COUNT] * SAMPLES)
    before = dpo(preference).student_loss(roles, batch, draws)
    gradients = torch.autograd.grad(before.value, [student.shift, student.std])
    with torch.no_grad():
        for parameter, gradient in zip((student.shift, student.std), gradients, strict=True):
            parameter.sub_(0.05 * gradient / max(map(abs, gradients)))
    after = dpo(preference).student_loss(roles, batch, draws)
    assert after.value < before.value
    assert after.diagnostics["agrees"] == 1 and before.diagnostics["agrees"] == 0
    assert after.diagnostics["winner_error"] < after.diagnostics["loser_error"]
    # Preferred samples are the narrower ones, or the wider.
    assert (student.std < 0.8) == (preference is smaller)


@every_roll_out
def test_4_a_pair_of_equal_samples_gives_no_signal(steps: int):
    roles = toy_roles(steps)
    loss = dpo(noise=1.0).student_loss(roles, blank([6, 8]), Draws(("same",))).value
    torch.testing.assert_close(loss, torch.tensor(math.log(2)))
    for gradient in torch.autograd.grad(loss, list(module(roles.student).parameters())):
        assert gradient.abs().max() < 1e-6


@every_roll_out
def test_5_padding_and_masked_points_change_nothing(steps: int):
    def result(length: int, fill: float) -> list[Tensor]:
        mask = blank([5, 7], length).mask
        draws = SetDraws(("padding",), mask=mask, count=7, fill=fill)
        return losses_and_gradients(dpo(), steps, draws, length)

    torch.testing.assert_close(result(7, 0.0), result(12, 9.0), rtol=1e-4, atol=1e-6)


@every_roll_out
def test_5_permuting_points_changes_neither_loss_nor_gradient(steps: int):
    found = [losses_and_gradients(dpo(), steps, draws, 7, (7, 7)) for _, draws in orders()]
    torch.testing.assert_close(*found, rtol=1e-4, atol=1e-6)


@every_roll_out
@pytest.mark.parametrize("preference", [smaller, larger])
def test_6_a_pair_is_the_references_samples_to_the_last_step(preference: Callable, steps: int):
    roles, batch, draws = toy_roles(steps), blank([6, 8]), Draws(("pair",))
    scaled = replace(roles, roll_out=RollOut(PROCESS.times(steps), 0.5))
    pair = dpo(preference)._pair(scaled, batch, draws)
    reference, made = module(roles.teacher), []
    for scale in (0.5, 0.75):
        noise = draws.noise("roll-out")
        played = renoise(reference, PROCESS, batch, PROCESS.times(steps), noise, scale)
        with torch.no_grad():
            made.append(PROCESS.target(last(played), batch))
    better = preference(made[0], batch) >= preference(made[1], batch)
    assert torch.equal(pair.first, better)
    chosen = better[:, None, None]
    assert torch.equal(pair.winner, torch.where(chosen, made[0], made[1]))
    assert torch.equal(pair.loser, torch.where(chosen, made[1], made[0]))
