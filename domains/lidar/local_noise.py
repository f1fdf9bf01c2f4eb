"""LiDiff's noise: every point moves about its own place, and none is ever scaled."""

from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from domains.batch import Batch
from domains.distillation.process import NoiseProcess
from domains.errors import FewstepError

__all__ = ["STEPS", "LocalNoise", "moment_loss", "solver_timesteps", "time_of"]

STEPS = 1000
_BETAS = (3.5e-5, 7e-3)
_REGULARISER = 5.0


def time_of(timestep: Shaped[Tensor, " k"]) -> Float[Tensor, " k"]:
    """Return the process time 1 − s/1000 of a timestep: it grows towards the data."""
    return 1 - timestep.float() / STEPS


def solver_timesteps(steps: int) -> Float[Tensor, " k"]:
    """Return evenly spaced timesteps from 999 down, without the last, 0 (diffusers' linspace).

    Raises:
        FewstepError: The number of steps is below 1 or above 999.
    """
    if not 1 <= steps < STEPS:
        raise FewstepError("number of sampling steps", expected="1 to 999", got=steps)
    grid = np.round(np.linspace(0, STEPS - 1, steps + 1))[:0:-1]
    return torch.from_numpy(grid.copy()).float()


def moment_loss(predicted: Tensor) -> Float[Tensor, ""]:
    """Return 5 [mean² + (std − 1)²] of predicted noise, over all of its elements."""
    return _REGULARISER * (predicted.mean() ** 2 + (predicted.std() - 1) ** 2)


@cache
def _sigmas(device: torch.device) -> Float[Tensor, " k"]:
    """Return σ of each timestep, made once for each device."""
    betas = np.linspace(*_BETAS, STEPS)
    with torch.inference_mode(False):  # else it could not be used in training later
        return torch.from_numpy(np.sqrt(1 - np.cumprod(1 - betas))).float().to(device)


@dataclass(frozen=True)
class LocalNoise(NoiseProcess):
    """x_t = x + σ_t ε in metre, σ_t = sqrt(1 − ᾱ_t), linear betas (Nunes et al. 2024, eq. 5).

    The time is 1 − s/1000 with LiDiff's timestep s, so that here too it grows towards the
    data; times between two timesteps count as the nearest.

    Attributes:
        regularised: Whether the teacher's own loss holds the moments of its predictions.
    """

    regularised: bool = True

    def timestep(self, time: Tensor) -> Tensor:
        """Return LiDiff's timestep of each time, 0 to 999."""
        return torch.round((1 - time.float()) * STEPS).long().clamp(0, STEPS - 1)

    def alpha(self, time: Tensor) -> Tensor:
        """Return 1."""
        return torch.ones_like(time)

    def sigma(self, time: Tensor) -> Tensor:
        """Return the standard deviation in metre."""
        return _sigmas(time.device)[self.timestep(time)]

    def times(self, steps: int) -> Float[Tensor, " k"]:
        """Return the times of the solver's timesteps."""
        return time_of(solver_timesteps(steps))

    def denoising_weight(self, time: Float[Tensor, " b"]) -> Float[Tensor, " b"]:
        """Return 1/σ²: the error of the noise (LiDiff, eq. 7)."""
        return 1 / self.sigma(time) ** 2

    def regulariser(
        self,
        estimate: Float[Tensor, "b n 3"],
        noisy: Float[Tensor, "b n 3"],
        time: Float[Tensor, " b"],
        batch: Batch,
    ) -> Float[Tensor, " b"]:
        """Return 5 [mean² + (std − 1)²] of each sample's predicted noise (LiDiff, eq. 8).

        It makes the teacher overconfident: of noise along a surface nothing can be known, so
        the best prediction has a smaller standard deviation than the noise. A model that was
        trained without it, or calibrated, has none.
        """
        if not self.regularised:
            return torch.zeros_like(time)
        predicted = self.noise_of(estimate, noisy, time, batch)
        moments = [
            moment_loss(each[real]) for each, real in zip(predicted, batch.mask, strict=True)
        ]
        return torch.stack(moments)

    def project(self, points: Float[Tensor, "b n 3"], batch: Batch) -> Float[Tensor, "b n 3"]:
        """Return the points without padding: the sensor's place is seen."""
        return points * batch.mask[..., None]
