"""Contract: one student of two teachers makes the density of each, told which.

The teachers are exact: the plane's mixture, and the same turned half round. What a student makes
for the second is turned back, so that both are to have the mixture's modes and weights. A student
that made the same for both would have the weights w and about 1 − w: one of them below .5.
"""

import torch
from distillation.make import make
from test_plane_field import PROCESS, STD, TIMES, Exact, PlaneDenoiser, modes, train

from domains.batch import Batch
from domains.distillation.denoiser import Routed
from domains.distillation.objectives.flow_map import FlowMap
from domains.distillation.objectives.objective import Objective
from domains.distillation.objectives.vsd import VSD
from domains.distillation.roles import Draws, Roles, RollOut
from domains.distillation.sampling.rescale import Rescale, Rescaled
from domains.distillation.sampling.sampler import last


class Turned(Exact):
    """The teacher of the mixture turned half round the origin."""

    def forward(self, noisy, time, batch, previous=None):
        return -super().forward(-noisy, time, batch)


class Told(PlaneDenoiser):
    """A student that is told a sample's class by the coordinate that the plane does not have."""

    def forward(self, noisy, time, batch, previous=None):
        turned = batch.condition["turned"].float()[:, None, None]
        return super().forward(noisy + turned * torch.tensor([0.0, 0.0, 1.0]), time, batch)


def clouds(turned: torch.Tensor, points: int) -> Batch:
    mask = torch.ones(len(turned), points, dtype=torch.bool)
    return Batch(mask, condition={"turned": turned})


TEACHER = Routed(Exact(), ((lambda batch: batch.condition["turned"], Turned()),))


def sampled(objective: Objective, roles: Roles, steps: int) -> list[tuple[float, float]]:
    """What ``modes`` says of the samples of each class, those of the second turned back."""
    train(objective, roles, clouds(torch.arange(16) % 2 == 1, 64), steps)
    found = []
    for turned in (False, True):
        batch = clouds(torch.tensor([turned]), 4000)
        played = roles.rolled.steps(roles.student, PROCESS, batch, Draws(("sampled",)))
        with torch.no_grad():
            points = last(played)
        found.append(modes(-points if turned else points))
    return found


def test_a_flow_map_of_both_is_each_teachers_cold_ode_when_told() -> None:
    cold = Rescaled(TEACHER, PROCESS, Rescale(sharpness=3.0, spread=STD))
    torch.manual_seed(0)
    roles = Roles(PROCESS, Told(48), cold, {}, RollOut(PROCESS.times(4), eta=0.0))
    found = sampled(make(FlowMap, substeps=8, huber=0.01), roles, 400)
    for weight, spread in found:
        assert 0.6 < weight < 0.75 and spread < 0.2


def test_score_distillation_of_both_finds_each_when_told() -> None:
    torch.manual_seed(0)
    roles = Roles(PROCESS, Told(48), TEACHER, {"fake": Told(48)}, RollOut(PROCESS.times(2)))
    found = sampled(make(VSD, times=TIMES, scale=1.0), roles, 300)
    assert all(0.55 < weight < 0.85 for weight, _ in found)
