"""Contract: within segments, the student's one step goes where the teacher's trajectory leaves."""

import pytest
import torch
from distillation.gaussian_cases import PROCESS
from distillation.learning import module
from distillation.make import make
from distillation.test_adversarial import orders, small
from distillation.test_consistency import COUNT, STD, Ends, data
from distillation.test_objectives import losses_and_gradients, toy_roles
from distillation.toy import GaussianDenoiser, SetDraws, blank, template
from torch import Tensor, nn

from domains.batch import Batch
from domains.distillation.objectives.consistency import Consistency, ConsistencyConfig
from domains.distillation.roles import Draws, Roles

STAGES = {"segments": (4, 2, 1)}


class Leaves(nn.Module):
    """Clean estimates whose Euler steps follow the trajectories of N(m, .5²) to a segment's end.

    At x_t = t m + r_t u it answers with (σ_t X − σ_s x_t) / (σ_t s − σ_s t), X = s m + r_s u, times
    a factor that is to be learned.
    """

    def __init__(self, grid: Tensor, segments: int, factor: float):
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(factor))
        size = len(grid) // segments
        self.grid, self.ends = grid, torch.cat([grid[size::size], torch.ones(1)])

    def forward(self, noisy: Tensor, time: Tensor, batch: Batch, previous=None) -> Tensor:
        end = self.ends[torch.searchsorted(self.ends, time, right=True)][:, None, None]
        t = time[:, None, None]
        before, after = (((x * STD) ** 2 + (1 - x) ** 2).sqrt() for x in (t, end))
        out = end * template(COUNT) + after * (noisy - t * template(COUNT)) / before
        clean = ((1 - t) * out - (1 - end) * noisy) / ((1 - t) * end - (1 - end) * t)
        return self.factor * clean


def loss_of(factor: float, grid: int, segments: int) -> tuple[float, float]:
    student = Leaves(PROCESS.times(grid), segments, factor)
    teacher = GaussianDenoiser(1.0, STD, COUNT).requires_grad_(False)
    roles = Roles(PROCESS, student, teacher, progress={4: 0.0, 2: 0.5, 1: 1.0}[segments])
    objective = make(Consistency, draw=data, grid=grid, huber=1.0, **STAGES)
    loss = objective.student_loss(roles, blank([COUNT]), Draws(("ends",))).value
    return float(loss.detach()), float(torch.autograd.grad(loss, student.factor)[0])


@pytest.mark.parametrize("segments", [4, 2, 1])
def test_1_what_leaves_with_the_trajectories_is_consistent(segments: int):
    """Up to the error of the teacher's Euler steps, which falls with the grid."""
    coarse, fine, finest = (loss_of(1.0, grid, segments)[0] for grid in (8, 32, 128))
    assert coarse > 4 * fine > 16 * finest


@pytest.mark.parametrize("segments", [4, 2, 1])
def test_3_a_step_goes_towards_the_trajectory(segments: int):
    found = [loss_of(factor, 64, segments) for factor in (0.8, 1.0, 1.2)]
    assert found[0][1] < 0 < found[2][1] and found[1][0] < min(found[0][0], found[2][0]) / 4


def test_one_segment_asks_for_the_ends_as_without_segments():
    losses = []
    for settings, progress in (({}, 0.0), (STAGES, 0.9)):
        roles = Roles(PROCESS, Ends(0.7), GaussianDenoiser(1.0, STD, COUNT), progress=progress)
        objective = make(Consistency, draw=data, grid=16, **settings)
        losses.append(objective.student_loss(roles, blank([COUNT]), Draws(("same",))).value)
    assert torch.equal(*losses)


def test_segments_merge_along_the_training():
    settings = ConsistencyConfig(segments=(8, 4, 2, 1))
    stages = [settings.segments_at(progress) for progress in (0.0, 0.24, 0.25, 0.74, 0.75, 1.0)]
    assert stages == [8, 8, 4, 2, 1, 1]
    for wrong in ((8, 4), (2, 4, 1), (64, 1), (4, 4, 1)):
        with pytest.raises(ValueError, match="segments must fall from at most grid, 32, to 1"):
            ConsistencyConfig(segments=wrong)


def test_2_only_the_student_learns():
    roles = toy_roles(2)
    objective = make(Consistency, draw=small(8), grid=4, **STAGES)
    objective.student_loss(roles, blank([6, 8]), Draws(("roles",))).value.backward()
    for name, parameter in module(roles.student).named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all()
        assert parameter.grad.abs().max() > 0 or name == "drop.bias"
    assert all(p.grad is None for p in module(roles.teacher).parameters())


def test_5_padding_and_masked_points_change_nothing():
    def result(length: int, fill: float) -> list[Tensor]:
        mask = blank([5, 7], length).mask
        draws = SetDraws(("padding",), mask=mask, count=7, fill=fill)
        objective = make(Consistency, draw=small(length), grid=4, **STAGES)
        return losses_and_gradients(objective, 1, draws, length)

    torch.testing.assert_close(result(7, 0.0), result(12, 9.0), rtol=1e-4, atol=1e-6)


def test_5_permuting_points_changes_neither_loss_nor_gradient():
    found = [
        losses_and_gradients(
            make(Consistency, draw=small(7, (7, 7), order), grid=4, **STAGES), 2, draws, 7, (7, 7)
        )
        for order, draws in orders()
    ]
    torch.testing.assert_close(*found, rtol=1e-4, atol=1e-6)
