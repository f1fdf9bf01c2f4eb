"""Improved consistency training (iCT, arXiv 2310.14189): from real data, without a teacher."""

from __future__ import annotations

import math
from typing import Literal

from jaxtyping import Float
from pydantic import Field, model_validator

from domains.batch import Batch
from domains.device import sent
from domains.distillation.objectives.objective import (
    Objective,
    ObjectiveConfig,
    Resources,
    pseudo_huber,
)
from domains.distillation.process import NoiseProcess
from domains.distillation.roles import Draws, Loss, Roles, by_time
from domains.lazy import torch

__all__ = ["ConsistencyTraining", "ConsistencyTrainingConfig"]

# Exponent of the spacing of noise levels (Karras et al., arXiv 2206.00364, eq. 5).
_RHO = 7.0
# Halvings of an interval of times until its ends are one.
_HALVINGS = 50


class ConsistencyTrainingConfig(ObjectiveConfig):
    """Improved consistency training on real data (iCT, 2310.14189): no teacher, no fake scores."""

    kind: Literal["consistency_training"] = "consistency_training"
    """Chooses this objective."""
    first_grid: int = Field(default=10, ge=2, le=100_000)
    """Noise levels at the start of training."""
    last_grid: int = Field(default=1280, ge=2, le=100_000)
    """Most noise levels."""
    double_every: int = Field(default=1000, ge=1)
    """Steps after which there are twice as many levels; the paper's are an eighth of all steps."""
    log_mean: float = -1.1
    """Mean of the logarithm of the drawn noise levels, σ/α in nm or m; the paper's goes with data
    of standard deviation 0.5."""
    log_std: float = Field(default=2.0, gt=0)
    """Its standard deviation."""
    low: float = Field(default=0.02, gt=0, lt=1)
    """Earliest time, of the largest noise."""
    high: float = Field(default=0.995, gt=0, lt=1)
    """Latest time, of the smallest noise; after it come the data."""
    huber: float = Field(default=0.001, gt=0)
    """c of the distance, in nm or m: smaller errors count squared."""
    scale: float = Field(default=1.0, gt=0)
    """Factor of the student's loss, before clipping."""

    @model_validator(mode="after")
    def _ordered(self) -> ConsistencyTrainingConfig:
        if self.low >= self.high:
            raise ValueError(f"low {self.low} must be below high {self.high}")
        if self.first_grid > self.last_grid:
            raise ValueError(f"first_grid {self.first_grid} must not exceed last_grid")
        return self

    def levels(self, step: int) -> int:
        """Return the number of noise levels at a step (2310.14189, sec. 3.4)."""
        doubled = min(step // self.double_every, 64)
        return min(self.first_grid * 2**doubled, self.last_grid)

    @property
    def asks_teacher(self) -> bool:
        """It learns from real data alone."""
        return False


class ConsistencyTraining(Objective[ConsistencyTrainingConfig]):
    """The student gives one answer for data with more and with a little less of the same noise.

    Real data are noised by one draw to two neighbouring levels. The estimate at the smaller noise,
    without gradient and without an average of weights, is the target; at the smallest, the data
    are. The more levels, the smaller the bias and the larger the variance, so they double along
    the training. A pair counts by one over the difference of its levels. The teacher is where the
    student starts from, if anything: it is never asked.

    Not the paper's: dropout, which is the network's own business.
    """

    def __init__(self, settings: ConsistencyTrainingConfig, resources: Resources):
        super().__init__(settings)
        self.examples = resources.examples()

    def student_loss(self, roles: Roles, batch: Batch, draws: Draws) -> Loss:
        """Compare the estimates of two neighbouring noise levels."""
        real = self.examples(draws)
        assert real.points is not None
        grid, levels = self._grid(roles.process, self.settings.levels(roles.step))
        place = self._drawn(levels, len(real.mask), draws)
        time, weight = (
            sent(values[place], real.mask.device) for values in (grid, _weights(levels))
        )
        noise = draws.noise("noise")(real.shape)
        noisy = roles.process.perturb(real.points, noise, time, real)
        with torch.no_grad():
            target = self._target(roles, real, noise, grid, place)
        estimate = roles.process.target(roles.student(noisy, time, real), real)
        distance = pseudo_huber(estimate, target, real, self.settings.huber)
        seen = distance.detach()
        noted = {"distance": seen.mean(), "levels": seen.new_tensor(float(len(grid)))}
        loss = (weight * distance).mean()
        return Loss(self.settings.scale * loss, {**noted, **by_time("distance", seen, time)})

    def _grid(
        self, process: NoiseProcess, count: int
    ) -> tuple[Float[torch.Tensor, " k"], Float[torch.Tensor, " k"]]:
        """Return times from noise to data, and their levels σ/α, even in the level's root."""
        ends = torch.tensor([self.settings.low, self.settings.high])
        first, last = (process.sigma(ends) / process.alpha(ends)).double() ** (1 / _RHO)
        wanted = (first + torch.linspace(0, 1, count) * (last - first)) ** _RHO
        low, high = (end.expand(count) for end in ends)
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            noisier = process.sigma(middle) / process.alpha(middle) > wanted
            low, high = torch.where(noisier, middle, low), torch.where(noisier, high, middle)
        levels = process.sigma(high) / process.alpha(high)
        # A process of few levels has some of them several times.
        new = torch.cat([levels[:1] > 0, levels.diff() < 0])
        return high[new], levels[new]

    def _drawn(self, levels: torch.Tensor, count: int, draws: Draws) -> torch.Tensor:
        """Draw places of the grid: a level's logarithm is normal (2310.14189, eq. 10)."""
        logs = torch.cat([levels, levels[-1:] ** 2 / levels[-2:-1]]).log()
        edges = torch.erf((logs - self.settings.log_mean) / (math.sqrt(2) * self.settings.log_std))
        odds = (edges[:-1] - edges[1:]).clamp(min=1e-12)
        return torch.multinomial(odds, count, replacement=True, generator=draws.source("time"))

    def _target(
        self,
        roles: Roles,
        real: Batch,
        noise: torch.Tensor,
        grid: torch.Tensor,
        place: torch.Tensor,
    ) -> Float[torch.Tensor, "b n 3"]:
        """Return the estimate at the next smaller noise; after the smallest, the data."""
        assert real.points is not None
        last = place == len(grid) - 1
        after = sent(grid[(place + 1).clamp(max=len(grid) - 1)], real.mask.device)
        nearer = roles.process.perturb(real.points, noise, after, real)
        answer = torch.where(
            sent(last, nearer.device)[:, None, None],
            real.points,
            roles.student(nearer, after, real),
        )
        return roles.process.target(answer, real)


def _weights(levels: Float[torch.Tensor, " k"]) -> Float[torch.Tensor, " k"]:
    """Return one over the difference of each level to the next, the data's being 0."""
    following = torch.cat([levels[1:], levels.new_zeros(1)])
    return 1 / (levels - following)
