"""Fitting a noise predictor's calibration on scenes with ground truth."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from domains.batch import Batch
from domains.distillation.roles import Draws
from domains.errors import FewstepError
from domains.lidar.calibration import Calibration
from domains.lidar.denoiser import LidarDenoiser
from domains.lidar.local_noise import time_of

__all__ = ["LEVELS", "Fit", "calibration_of", "fit_levels"]

# Timesteps at which c is fitted; between them it is interpolated.
LEVELS = (0, 15, 30, 60, 120, 200, 300, 450, 650, 999)


@dataclass(frozen=True)
class Fit:
    """The calibration of a noise predictor at one timestep.

    Attributes:
        timestep: LiDiff's timestep, 0 to 999.
        factor: c, by which predictions are multiplied.
        error: Mean squared error of the predicted noise, in units of its variance.
        calibrated_error: The same after multiplication by c.
    """

    timestep: int
    factor: float
    error: float
    calibrated_error: float


def fit_levels(
    denoiser: LidarDenoiser,
    batches: Sequence[Batch],
    draws: Draws,
    levels: Sequence[int] = LEVELS,
) -> list[Fit]:
    """Fit c(σ) = Σ⟨ε̂, ε⟩ / Σ⟨ε̂, ε̂⟩ by least squares on scenes with ground truth.

    Args:
        denoiser: Network without a calibration, in its evaluation mode.
        batches: Training scenes: truth in ``points``, metre, and the condition "partial".
        draws: Of the noise.
        levels: Timesteps, rising.

    Raises:
        FewstepError: A prediction is not finite, or none has anything of the noise.
    """
    with torch.no_grad():
        encoded = [denoiser.encode(batch) for batch in batches]
        return [_fit_level(denoiser, encoded, draws, level) for level in levels]


def calibration_of(fits: Sequence[Fit]) -> Calibration:
    """Return the calibration that was fitted level by level."""
    return Calibration(tuple(fit.timestep for fit in fits), tuple(fit.factor for fit in fits))


def _fit_level(denoiser: LidarDenoiser, batches: Sequence[Batch], draws: Draws, level: int) -> Fit:
    both = own = wanted = 0.0
    for number, batch in enumerate(batches):
        assert batch.points is not None
        time = time_of(torch.full((len(batch.mask),), level)).to(batch.points.device)
        noise = draws.noise(f"noise {level} {number}")(batch.shape)
        noisy = denoiser.process.perturb(batch.points, noise, time, batch)
        predicted = denoiser.noise(noisy, time, batch)
        both += float((predicted * noise).sum())
        own += float(predicted.square().sum())
        wanted += float(noise.square().sum())
    if not both > 0 or not math.isfinite(own):
        raise FewstepError(
            f"predicted noise at timestep {level} has nothing of the noise",
            got=f"inner product {both:.3g}, squared length {own:.3g}",
            do="Check that the model suits these scenes (radius, number of points)",
        )
    factor = both / own
    error = (own - 2 * both + wanted) / wanted
    return Fit(level, factor, error, 1 - both * factor / wanted)
