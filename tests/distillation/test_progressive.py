"""Contract: a student's step learns where several re-noising steps of the teacher end."""

import pytest
import torch
from distillation.gaussian_cases import PROCESS
from distillation.learning import check_only_the_student_learns
from distillation.make import make
from distillation.test_adversarial import orders
from distillation.test_objectives import losses_and_gradients, module, toy_roles
from distillation.toy import GaussianDenoiser, SetDraws, ToyDenoiser, blank, slope, template
from torch import Tensor

from domains.distillation.objectives.progressive import Progressive
from domains.distillation.roles import Draws, Roles, RollOut
from domains.distillation.sampling.sampler import Step

COUNT, SAMPLES, STD, STEPS = 40, 64, 0.5, 3
ROLL_OUT = RollOut(PROCESS.times(STEPS), 0.6)
every_step = pytest.mark.parametrize("number", range(STEPS))


def gaussians(shift: float = 1.0, std: float = STD, roll_out: RollOut = ROLL_OUT) -> Roles:
    """A student that may be off, and the teacher of N(m, .5²)."""
    teacher = GaussianDenoiser(1.0, STD, COUNT).requires_grad_(False)
    return Roles(PROCESS, GaussianDenoiser(shift, std, COUNT), teacher, roll_out=roll_out)


def taken(roles: Roles, number: int) -> Step:
    batch = blank([COUNT] * SAMPLES)
    return ROLL_OUT.take(roles.student, PROCESS, batch, Draws(("x",)), gradient=False, step=number)


def times_of(number: int, substeps: int) -> Tensor:
    """From the step's time evenly to the next one's, without it; the last ends at the data."""
    edges = [*ROLL_OUT.times.tolist(), 1.0]
    low, high = edges[number : number + 2]
    return torch.tensor([low + (high - low) * k / substeps for k in range(substeps)])


@every_step
def test_1_without_noise_the_end_is_the_product_of_the_contractions(number: int):
    """x̂ − m is multiplied by k t at each further step."""
    roles = gaussians(0.7, 0.4)
    step = taken(roles, number)
    batch, objective = blank([COUNT] * SAMPLES), make(Progressive, substeps=4, noise_scale=0.0)
    found = objective._end(step, roles, batch, Draws(("end",)))
    times, mean = times_of(number, 4), template(COUNT)
    first = slope(STD, times[0]) * (step.noisy - times[0] * mean)
    expected = mean + torch.prod(slope(STD, times[1:]) * times[1:]) * first
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_1_noise_leaves_the_mean_of_the_end_where_it_is():
    roles, batch = gaussians(0.7, 0.4), blank([COUNT] * SAMPLES)
    step = taken(roles, 1)
    still, moved = (make(Progressive, substeps=3, noise_scale=scale) for scale in (0.0, 1.0))
    ends = [moved._end(step, roles, batch, Draws(("mean", k))) for k in range(200)]
    mean, spread = torch.stack(ends).mean(0), torch.stack(ends).std(0).mean()
    assert spread > 0.05
    error = mean - still._end(step, roles, batch, Draws(("mean",)))
    assert error.square().mean().sqrt() < 1.2 * spread / 200**0.5


def test_2_only_the_student_learns():
    check_only_the_student_learns(make(Progressive), toy_roles(2))


def loss_of(shift: float) -> tuple[float, float]:
    """Loss and its gradient in the student's shift, of one sub-step of its only step."""
    roles = gaussians(shift, roll_out=RollOut(PROCESS.times(1)))
    loss = make(Progressive, substeps=1, huber=1.0).student_loss(
        roles, blank([COUNT] * SAMPLES), Draws(("sign",))
    )
    return float(loss.value.detach()), float(
        torch.autograd.grad(loss.value, module(roles.student).shift)[0]
    )


def test_3_a_step_goes_towards_the_end():
    (low, up), (at, _), (high, down) = (loss_of(1 + shift) for shift in (-0.2, 0, 0.2))
    assert up < 0 < down and at < min(low, high)


def test_4_nothing_is_to_learn_from_one_sub_step_of_itself():
    loss = make(Progressive, substeps=1).student_loss(
        gaussians(), blank([COUNT] * 4), Draws(("same",))
    )
    assert loss.value == 0


def test_5_padding_and_masked_points_change_nothing():
    def result(length: int, fill: float) -> list[Tensor]:
        mask = blank([5, 7], length).mask
        draws = SetDraws(("padding",), mask=mask, count=7, fill=fill)
        return losses_and_gradients(make(Progressive), 2, draws, length)

    torch.testing.assert_close(result(7, 0.0), result(12, 9.0), rtol=1e-4, atol=1e-6)


def test_5_permuting_points_changes_neither_loss_nor_gradient():
    found = [losses_and_gradients(make(Progressive), 2, draws, 7, (7, 7)) for _, draws in orders()]
    torch.testing.assert_close(*found, rtol=1e-4, atol=1e-6)


@every_step
def test_6_teacher_and_student_are_asked_at_the_points_of_the_roll_out(number: int):
    """With a student that is the teacher, one sub-step of each step is that step."""
    network, batch = ToyDenoiser(2), blank([5, 8])
    roles = Roles(PROCESS, network, network, roll_out=ROLL_OUT)
    step = ROLL_OUT.take(network, PROCESS, batch, Draws(("six",)), gradient=False, step=number)
    found = make(Progressive, substeps=1)._end(step, roles, batch, Draws(("six",)))
    torch.testing.assert_close(found, step.clean)
