"""Discrete consistency distillation (arXiv 2303.01469, alg. 2): a baseline without fake scores."""

from collections.abc import Callable

import torch
from torch import Tensor

from domains.distillation.objectives.objective import Objective, per_sample
from domains.distillation.roles import Draws, Loss, Roles, by_time
from domains.domain import Batch

__all__ = ["Consistency"]


class Consistency(Objective):
    """The student gives one answer along each trajectory of the teacher's ODE: its end.

    Real data are noised to a time of the grid, the teacher takes one Euler step to the next, and
    the student's estimate there, without gradient, is the target. At the last time the teacher's
    own estimate is.

    Args:
        examples: Real data.
        grid: Number of times; those of a roll-out with so many steps.
        huber: c of the distance sqrt(RMS² + c²) − c, in the data's unit (2310.14189, eq. 8).
        scale: Factor of the loss.
    """

    fake_scores = ()

    def __init__(
        self,
        examples: Callable[[Draws], Batch],
        grid: int = 32,
        huber: float = 0.01,
        scale: float = 1.0,
    ):
        self.examples, self.grid, self.huber, self.scale = examples, grid, huber, scale

    def fake_score_loss(self, name: str, roles: Roles, batch: Batch, draws: Draws) -> Loss:
        """There is none."""
        raise ValueError(f"consistency distillation has no fake score {name}")

    def student_loss(self, roles: Roles, batch: Batch, draws: Draws) -> Loss:
        """Compare the estimates at neighbouring times of one trajectory."""
        real = self.examples(draws)
        assert real.points is not None
        grid = roles.process.times(self.grid)
        place = torch.randint(len(grid), (len(real.mask),), generator=draws.source("time"))
        time = grid[place].to(real.mask.device)
        noisy = roles.process.perturb(real.points, draws.noise("noise")(real.shape), time, real)
        with torch.no_grad():
            target = self._target(roles, noisy, grid, place, real)
        estimate = roles.process.target(roles.student(noisy, time, real), real)
        square = per_sample((estimate - target) ** 2, real) / (3 * real.sizes)
        distance = (square + self.huber**2).sqrt() - self.huber
        noted = by_time("distance", distance.detach(), time)
        return Loss(self.scale * distance.mean(), {"distance": distance.detach().mean(), **noted})

    def _target(
        self, roles: Roles, noisy: Tensor, grid: Tensor, place: Tensor, real: Batch
    ) -> Tensor:
        assert roles.teacher is not None
        process, last = roles.process, place == len(grid) - 1
        time, after = (grid[k].to(noisy.device) for k in (place, (place + 1) % len(grid)))
        end = process.target(roles.teacher(noisy, time, real), real)
        moved = process.perturb(end, process.noise_of(end, noisy, time, real), after, real)
        target = process.target(roles.student(moved, after, real), real)
        return torch.where(last.to(noisy.device)[:, None, None], end, target)
