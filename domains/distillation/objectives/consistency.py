"""Discrete consistency distillation (arXiv 2303.01469, alg. 2): a baseline without fake scores."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from domains.batch import Batch
from domains.device import sent
from domains.distillation.objectives.objective import (
    Objective,
    ObjectiveConfig,
    Resources,
    pseudo_huber,
)
from domains.distillation.roles import Draws, Loss, Roles, by_time
from domains.lazy import torch

__all__ = ["Consistency", "ConsistencyConfig"]


class ConsistencyConfig(ObjectiveConfig):
    """Discrete consistency distillation on real data (2303.01469): no fake scores, a baseline."""

    kind: Literal["consistency"] = "consistency"
    """Chooses this objective."""
    grid: int = Field(default=32, ge=1, le=400)
    """Times of the trajectories; each step of them is one of the teacher's."""
    huber: float = Field(default=0.01, gt=0)
    """c of the distance, in nm or m: smaller errors count squared."""
    scale: float = Field(default=1.0, gt=0)
    """Factor of the student's loss, before clipping."""


class Consistency(Objective[ConsistencyConfig]):
    """The student gives one answer along each trajectory of the teacher's ODE: its end.

    Real data are noised to a time of the grid, the teacher takes one Euler step to the next, and
    the student's estimate there, without gradient, is the target. At the last time the teacher's
    own estimate is.
    """

    def __init__(self, settings: ConsistencyConfig, resources: Resources):
        super().__init__(settings)
        self.examples = resources.examples()

    def student_loss(self, roles: Roles, batch: Batch, draws: Draws) -> Loss:
        """Compare the estimates at neighbouring times of one trajectory."""
        real = self.examples(draws)
        assert real.points is not None
        grid = roles.process.times(self.settings.grid)
        place = torch.randint(len(grid), (len(real.mask),), generator=draws.source("time"))
        time = grid[place].to(real.mask.device)
        noisy = roles.process.perturb(real.points, draws.noise("noise")(real.shape), time, real)
        with torch.no_grad():
            target = self._target(roles, noisy, grid, place, real)
        estimate = roles.process.target(roles.student(noisy, time, real), real)
        distance = pseudo_huber(estimate, target, real, self.settings.huber)
        noted = by_time("distance", distance.detach(), time)
        return Loss(
            self.settings.scale * distance.mean(), {"distance": distance.detach().mean(), **noted}
        )

    def _target(
        self,
        roles: Roles,
        noisy: torch.Tensor,
        grid: torch.Tensor,
        place: torch.Tensor,
        real: Batch,
    ) -> torch.Tensor:
        assert roles.teacher is not None
        process, last = roles.process, place == len(grid) - 1
        time, after = (sent(grid[k], noisy.device) for k in (place, (place + 1) % len(grid)))
        end = process.target(roles.teacher(noisy, time, real), real)
        moved = process.perturb(end, process.noise_of(end, noisy, time, real), after, real)
        target = process.target(roles.student(moved, after, real), real)
        return torch.where(sent(last, noisy.device)[:, None, None], end, target)
