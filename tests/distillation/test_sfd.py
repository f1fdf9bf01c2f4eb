"""Contract: SFD draws a forgotten class to what the teacher makes of another, the rest to itself.

The six tests, with all samples forgotten and the teacher told the same, are those of
``test_objectives.py``; here some are forgotten, of classes that are shifts of one Gaussian.
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
    every_roll_out,
    sid_gradient,
)
from distillation.make import make, one_time
from distillation.toy import (
    TIMES,
    GaussianDenoiser,
    GaussianStudent,
    ToyDenoiser,
    blank,
    slope,
    template,
)
from torch import Tensor, nn

from domains.batch import Batch
from domains.distillation.objectives.sfd import SFD
from domains.distillation.objectives.sid import SiD
from domains.distillation.roles import Draws, Roles, RollOut

KEPT, FORGOTTEN, OTHER, STD, WEIGHT = 1.0, 2.0, -0.5, 0.5, 0.3


class Classes(nn.Module):
    """The clean estimate of N(a m, .5²), where the batch says which a."""

    def forward(self, noisy: Tensor, time: Tensor, batch: Batch, previous=None) -> Tensor:
        t, shift = time[:, None, None], batch.condition["shift"][:, None, None]
        mean = shift * template(COUNT)
        return (mean + slope(STD, t) * (noisy - t * mean)) * batch.mask[..., None]


def override(batch: Batch) -> tuple[Tensor, Batch]:
    """The teacher makes the other class of the forgotten one."""
    shift = batch.condition["shift"]
    told = torch.where(shift == FORGOTTEN, OTHER, shift)
    return shift == FORGOTTEN, replace(batch, condition={"shift": told})


def asked(*shifts: float) -> Batch:
    each = torch.tensor(shifts).repeat_interleave(SAMPLES // len(shifts))
    return replace(blank([COUNT] * SAMPLES), condition={"shift": each})


def gradient(batch: Batch, student: Gaussians, steps: int = 1, **settings) -> Gradient:
    times, time = PROCESS.times(steps), student.time
    made = GaussianStudent(student.shift, student.std, COUNT, float(times[0]))
    fake = GaussianDenoiser(student.shift, student.std, COUNT).requires_grad_(False)
    roles = Roles(PROCESS, made, Classes(), {"fake": fake}, RollOut(times))
    at = one_time(time)
    chosen = {"weight": WEIGHT, "scale": 1.0} | settings
    objective = make(SFD, times=at, override=override, **chosen)
    loss = objective.student_loss(roles, batch, Draws(("forget",))).value
    found = torch.autograd.grad(loss, [made.shift, made.std])
    return float(found[0]), float(found[1])


@every_roll_out
def test_1_gradient_is_that_of_each_class_with_its_weight(steps: int):
    """By hand it depends on the shift from the teacher's only, which ``Gaussians`` has at 1."""
    student = Gaussians(0.4, 0.8, STD, 0.6)
    kept, drawn = (
        sid_gradient(1.2)(replace(student, shift=1 + student.shift - told))
        for told in (KEPT, OTHER)
    )
    found = gradient(asked(KEPT, FORGOTTEN), student, steps)
    expected = [0.5 * a + 0.5 * WEIGHT * b for a, b in zip(kept, drawn, strict=True)]
    assert found == pytest.approx(expected, rel=0.02, abs=0.01)
    assert abs(drawn[0]) > 0.1


def test_3_forgotten_samples_move_to_the_other_class_and_kept_ones_to_their_own():
    student = Gaussians(0.25, STD, STD, 0.6)
    assert gradient(asked(FORGOTTEN), student)[0] > 0.1  # a falls to −.5
    assert gradient(asked(KEPT), student)[0] < -0.1  # a rises to 1


def test_4_a_student_that_has_forgotten_is_at_rest():
    assert gradient(asked(FORGOTTEN), Gaussians(OTHER, STD, STD, 0.6)) == pytest.approx(
        (0, 0), abs=1e-5
    )


@every_roll_out
def test_where_nothing_is_forgotten_it_is_sid(steps: int):
    roles = Roles(
        PROCESS,
        ToyDenoiser(1),
        ToyDenoiser(0),
        {"fake": ToyDenoiser(2)},
        RollOut(PROCESS.times(steps)),
    )
    batch, draws = blank([5, 7]), Draws(("none",))

    def nothing(batch: Batch) -> tuple[Tensor, Batch]:
        return torch.zeros(len(batch.mask), dtype=torch.bool), batch

    forgetting, plain = make(SFD, times=TIMES, override=nothing), make(SiD, times=TIMES, alpha=1.2)
    found, expected = (each.student_loss(roles, batch, draws) for each in (forgetting, plain))
    assert torch.equal(found.value, expected.value) and found.diagnostics["forgotten"] == 0
    losses = [each.fake_score_loss("fake", roles, batch, draws) for each in (forgetting, plain)]
    assert torch.equal(losses[0].value, losses[1].value)
