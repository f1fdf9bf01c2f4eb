"""Contract: the roll-out is drawn uniformly over steps and differentiates the last one only."""

from collections import Counter
from itertools import pairwise

import pytest
import torch
from distillation.toy import ToyDenoiser, blank
from torch import Tensor, nn

from domains.batch import Batch
from domains.distillation.process import FlowMatching
from domains.distillation.roles import Draws, Roles, RollOut, by_time

PROCESS = FlowMatching()


class Steered(nn.Module):
    """A student with a parameter per time, so that gradients tell which steps were kept."""

    def __init__(self, times: Tensor):
        super().__init__()
        self.times, self.inner = times, ToyDenoiser()
        self.gains = nn.Parameter(torch.ones(len(times)))

    def forward(
        self, noisy: Tensor, time: Tensor, batch: Batch, previous: Tensor | None = None
    ) -> Tensor:
        step = int((self.times - time[0]).abs().argmin())
        return self.gains[step] * self.inner(noisy, time, batch)


@pytest.mark.parametrize("step", range(4))
def test_only_the_last_step_is_differentiated(step: int):
    times = PROCESS.times(4)
    student = Steered(times)
    points = RollOut(times).generate(
        student, PROCESS, blank([6, 8]), Draws((1,)), gradient=True, step=step
    )
    points.square().sum().backward()
    assert student.gains.grad is not None
    assert student.gains.grad.nonzero().flatten().tolist() == [step]


def test_without_gradient_there_is_none_and_the_points_are_the_same():
    roles = Roles(PROCESS, ToyDenoiser(), roll_out=RollOut(PROCESS.times(4)))
    batch, draws = blank([6, 8]), Draws((1,))
    kept, plain = (roles.play(batch, draws, gradient=gradient) for gradient in (True, False))
    assert kept.requires_grad and not plain.requires_grad
    assert torch.equal(kept, plain)


def test_steps_are_drawn_uniformly():
    times = PROCESS.times(4)
    student, counts = Steered(times), Counter()
    for key in range(200):
        student.gains.grad = None
        points = RollOut(times).generate(student, PROCESS, blank([4]), Draws((key,)), gradient=True)
        points.square().sum().backward()
        counts[int(student.gains.grad.nonzero())] += 1
    assert set(counts) == set(range(4)) and min(counts.values()) > 30


class Told(nn.Module):
    """A student that answers time, and what it was told, so that both can be read off."""

    def forward(
        self, noisy: Tensor, time: Tensor, batch: Batch, previous: Tensor | None = None
    ) -> Tensor:
        told = torch.zeros_like(noisy) if previous is None else 1 + previous[:, :1, :1] * 0
        return noisy * 0 + time[:, None, None] + 10 * told


@pytest.mark.parametrize("self_conditioning", [False, True])
def test_each_sample_can_have_its_own_step(self_conditioning: bool):
    times = PROCESS.times(4)
    rolled = RollOut(times, self_conditioning=self_conditioning, each_sample=True)
    # Uncentred, so that a constant answer stays what it is.
    process, batch = FlowMatching("none"), blank([4] * 400)
    points = rolled.generate(Told(), process, batch, Draws((1,)), gradient=False)
    answers = points[:, 0, 0]
    found = (answers[:, None] % 10 - times).abs().argmin(1)
    counts = torch.bincount(found, minlength=4)
    assert counts.min() > 60 and counts.sum() == 400
    told = answers > 5
    assert torch.equal(told, (found > 0) & self_conditioning)


def test_a_sample_with_its_own_step_is_that_of_the_roll_out():
    times, batch, student = PROCESS.times(3), blank([6, 8, 5, 7]), ToyDenoiser()
    rolled = RollOut(times, each_sample=True)
    points = rolled.generate(student, PROCESS, batch, Draws((5,)), gradient=True)
    played = [step.clean for step in rolled.steps(student, PROCESS, batch, Draws((5,)))]
    ends = [PROCESS.target(clean, batch) for clean in played]
    for row in range(4):
        gaps = [float((points[row] - end[row]).abs().max().detach()) for end in ends]
        assert min(gaps) < 1e-6 < sorted(gaps)[1]
    assert points.requires_grad


def test_play_needs_a_roll_out():
    with pytest.raises(ValueError, match="no roll-out"):
        Roles(PROCESS, ToyDenoiser()).play(blank([4]), Draws((1,)), gradient=False)


def test_stretches_of_the_steps_are_all_times():
    times = PROCESS.times(3)
    edges = [0.0, *times[1:].tolist(), 1.0]
    found = [RollOut(times).stretch(float(time)) for time in times]
    assert found == list(pairwise(edges))
    assert RollOut(PROCESS.times(1)).stretch(float(PROCESS.times(1))) == (0.0, 1.0)


def test_by_time_bins_every_time_once():
    time = torch.tensor([0.0, 0.39, 0.4, 0.95, 1.0])
    found = by_time("gap", torch.tensor([1.0, 3.0, 5.0, 7.0, 9.0]), time)
    assert {k: float(v) for k, v in found.items()} == {"gap_t0.0": 2, "gap_t0.4": 5, "gap_t0.9": 8}
