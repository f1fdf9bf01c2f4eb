"""Discrete consistency distillation (arXiv 2303.01469, alg. 2): a baseline without fake scores.

With segments it is the trajectory-segmented one of Hyper-SD (arXiv 2404.13686).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Annotated, Literal

from jaxtyping import Bool, Float, Int
from pydantic import Field, model_validator

from domains.batch import Batch
from domains.device import sent
from domains.distillation.objectives.objective import (
    Objective,
    ObjectiveConfig,
    Resources,
    pseudo_huber,
)
from domains.distillation.roles import Draws, Loss, Roles, by_time
from domains.distillation.sampling.sampler import ode_step
from domains.lazy import torch

__all__ = ["Consistency", "ConsistencyConfig"]


class ConsistencyConfig(ObjectiveConfig):
    """Discrete consistency distillation on real data (2303.01469): no fake scores, a baseline."""

    kind: Literal["consistency"] = "consistency"
    """Chooses this objective."""
    grid: int = Field(default=32, ge=1, le=400)
    """Times of the trajectories; each step of them is one of the teacher's."""
    segments: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        default=(1,), min_length=1, exclude_if=lambda given: given == (1,)
    )
    """Parts of the trajectories within which the student is consistent, in stages that are equal
    shares of the training; the last must have 1, the whole. Hyper-SD: [8, 4, 2, 1]."""
    huber: float = Field(default=0.01, gt=0)
    """c of the distance, in nm or m: smaller errors count squared."""
    scale: float = Field(default=1.0, gt=0)
    """Factor of the student's loss, before clipping."""

    @model_validator(mode="after")
    def _segments_merge(self) -> ConsistencyConfig:
        falling = all(a > b for a, b in pairwise(self.segments))
        if not falling or self.segments[-1] != 1 or self.segments[0] > self.grid:
            raise ValueError(f"segments must fall from at most grid, {self.grid}, to 1")
        return self

    def segments_at(self, progress: float) -> int:
        """Return the number of segments where this share of the training is done."""
        return self.segments[min(int(progress * len(self.segments)), len(self.segments) - 1)]


class Consistency(Objective[ConsistencyConfig]):
    """The student gives one answer along each trajectory of the teacher's ODE: its end.

    Real data are noised to a time of the grid, the teacher takes one Euler step to the next, and
    the student's estimate there, without gradient, is the target. At the last time the teacher's
    own estimate is.

    With segments the answer is where the trajectory leaves the segment: the student's clean
    estimate leads there by one Euler step. Where the teacher's step arrives at it, its point is the
    target. Early stages have short ways to learn; in the last one, of a single segment, the end
    is the data's, as without. Not Hyper-SD's: its adversarial loss, and what follows it, score
    distillation and human feedback, which are objectives of their own here (`start` of a student
    goes on from another).
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
        time = sent(grid[place], real.mask.device)
        noisy = roles.process.perturb(real.points, draws.noise("noise")(real.shape), time, real)
        rows = _Rows(roles, real, grid, place, self.settings.segments_at(roles.progress))
        with torch.no_grad():
            target = rows.target(noisy)
        estimate = rows.leaves(roles.student(noisy, time, real), noisy, place)
        distance = pseudo_huber(estimate, target, real, self.settings.huber)
        noted = by_time("distance", distance.detach(), time)
        return Loss(
            self.settings.scale * distance.mean(), {"distance": distance.detach().mean(), **noted}
        )


@dataclass(frozen=True)
class _Rows:
    """Places on trajectories, and where each trajectory leaves its segment.

    Attributes:
        roles: Teacher, student, process.
        real: The data.
        grid: Times of the trajectories.
        place: Of each sample, in the grid.
        segments: Parts of the grid.
    """

    roles: Roles
    real: Batch
    grid: Float[torch.Tensor, " g"]
    place: Int[torch.Tensor, " b"]
    segments: int

    @cached_property
    def ends(self) -> Int[torch.Tensor, " b"]:
        """Place where each segment ends; the length of the grid where that is the data."""
        borders = torch.linspace(0, len(self.grid), self.segments + 1).round().long()
        return borders[torch.searchsorted(borders, self.place, right=True)]

    def _at(self, place: Int[torch.Tensor, " b"]) -> Float[torch.Tensor, " b"]:
        """Return the times at places, the last one beyond the grid."""
        return sent(self.grid[place.clamp(max=len(self.grid) - 1)], self.real.mask.device)

    def _column(self, rows: Bool[torch.Tensor, " b"]) -> Bool[torch.Tensor, "b 1 1"]:
        return sent(rows, self.real.mask.device)[:, None, None]

    def leaves(
        self, clean: torch.Tensor, noisy: torch.Tensor, place: Int[torch.Tensor, " b"]
    ) -> Float[torch.Tensor, "b n 3"]:
        """Return where an Euler step with this clean estimate leaves the segment."""
        process = self.roles.process
        clean = process.target(clean, self.real)
        if self.segments == 1:
            return clean
        moved = ode_step(process, clean, noisy, self._at(place), self._at(self.ends), self.real)
        return torch.where(self._column(self.ends == len(self.grid)), clean, moved)

    def target(self, noisy: Float[torch.Tensor, "b n 3"]) -> Float[torch.Tensor, "b n 3"]:
        """Return the answer at the next place of each trajectory, by one step of the teacher."""
        roles, real, after = self.roles, self.real, self.place + 1
        assert roles.teacher is not None
        time = self._at(self.place)
        end = roles.process.target(roles.teacher(noisy, time, real), real)
        moved = ode_step(roles.process, end, noisy, time, self._at(after), real)
        target = self.leaves(roles.student(moved, self._at(after), real), moved, after)
        target = torch.where(self._column(after == self.ends), moved, target)
        return torch.where(self._column(after == len(self.grid)), end, target)
