"""Contract: consistency distillation makes the student the end of the teacher's trajectories."""

import pytest
import torch
from distillation.gaussian_cases import PROCESS
from distillation.make import make
from distillation.test_adversarial import orders, small
from distillation.test_objectives import losses_and_gradients, module, toy_roles
from distillation.toy import GaussianDenoiser, SetDraws, ToyDenoiser, blank, template
from torch import Tensor, nn

from domains.batch import Batch
from domains.distillation.objectives.consistency import Consistency
from domains.distillation.roles import Draws, Roles

COUNT, SAMPLES, STD = 40, 64, 0.5


class Ends(nn.Module):
    """Where trajectories of N(m, .5²) end, with their standard deviation to be learned.

    The ODE keeps u = (x_t − t m) / sqrt(t² s² + (1 − t)²), so it ends at m + s u.
    """

    def __init__(self, std: float):
        super().__init__()
        self.std = nn.Parameter(torch.tensor(std))

    def forward(self, noisy: Tensor, time: Tensor, batch: Batch, previous=None) -> Tensor:
        t = time[:, None, None]
        unit = (noisy - t * template(COUNT)) / ((t * STD) ** 2 + (1 - t) ** 2).sqrt()
        return template(COUNT) + self.std * unit


def data(draws: Draws) -> Batch:
    points = STD * draws.noise("data")((SAMPLES, COUNT, 3)) + template(COUNT)
    return Batch(torch.ones(SAMPLES, COUNT, dtype=torch.bool), points)


def loss_of(std: float, grid: int, huber: float = 0.01) -> tuple[float, float]:
    """Loss and its gradient."""
    student = Ends(std)
    teacher = GaussianDenoiser(1.0, STD, COUNT).requires_grad_(False)
    roles = Roles(PROCESS, student, teacher)
    objective = make(Consistency, draw=data, grid=grid, huber=huber)
    loss = objective.student_loss(roles, blank([COUNT]), Draws(("ends",))).value
    return float(loss.detach()), float(torch.autograd.grad(loss, student.std)[0])


def test_1_the_ends_of_the_trajectories_are_consistent():
    """Up to the error of Euler's steps, which falls with the grid."""
    coarse, fine, finest = (loss_of(STD, grid)[0] for grid in (8, 32, 256))
    assert coarse > 2 * fine > 4 * finest and finest < 1e-3


def test_3_a_step_goes_towards_the_end():
    """With a distance that is quadratic, so that small errors of Euler's steps count little."""
    (low, up), (at, _), (high, down) = (loss_of(STD + shift, 32, 1.0) for shift in (-0.2, 0, 0.2))
    assert up < 0 < down and at < min(low, high)


def test_the_last_time_asks_the_teacher_itself():
    """With a grid of one time there is nothing else to learn."""
    batch = small(7)(Draws(("x",)))
    student, teacher = ToyDenoiser(1), ToyDenoiser(0).requires_grad_(False)
    objective = make(Consistency, draw=lambda _: batch, grid=1, huber=1e-6)
    draws = Draws(("last",))
    found = objective.student_loss(Roles(PROCESS, student, teacher), batch, draws).value
    assert batch.points is not None
    time = PROCESS.times(1).expand(2)
    noisy = PROCESS.perturb(batch.points, draws.noise("noise")(batch.shape), time, batch)
    ends = [PROCESS.target(each(noisy, time, batch), batch) for each in (student, teacher)]
    errors = (((ends[0] - ends[1]) ** 2).sum((1, 2)) / (3 * batch.sizes)).sqrt()
    torch.testing.assert_close(found, errors.mean(), rtol=1e-4, atol=1e-5)
    same = Roles(PROCESS, teacher, teacher)
    assert objective.student_loss(same, batch, draws).value < 1e-6


def test_2_only_the_student_learns():
    roles, objective = toy_roles(2), make(Consistency, draw=small(8), grid=4)
    objective.student_loss(roles, blank([6, 8]), Draws(("roles",))).value.backward()
    for name, parameter in module(roles.student).named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all()
        assert parameter.grad.abs().max() > 0 or name == "drop.bias"
    assert all(p.grad is None for p in module(roles.teacher).parameters())
    with pytest.raises(ValueError, match="no fake score"):
        objective.fake_score_loss("fake", roles, blank([6, 8]), Draws(("roles",)))


def test_5_padding_and_masked_points_change_nothing():
    def result(length: int, fill: float) -> list[Tensor]:
        mask = blank([5, 7], length).mask
        draws = SetDraws(("padding",), mask=mask, count=7, fill=fill)
        return losses_and_gradients(make(Consistency, draw=small(length), grid=4), 1, draws, length)

    torch.testing.assert_close(result(7, 0.0), result(12, 9.0), rtol=1e-4, atol=1e-6)


def test_5_permuting_points_changes_neither_loss_nor_gradient():
    found = [
        losses_and_gradients(
            make(Consistency, draw=small(7, (7, 7), order), grid=4), 2, draws, 7, (7, 7)
        )
        for order, draws in orders()
    ]
    torch.testing.assert_close(*found, rtol=1e-4, atol=1e-6)
