"""LiDiff's training loss: predict the noise and, if regularised, predict it standard normal."""

from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from domains.batch import Batch
from domains.distillation.roles import Draws, Loss, by_time
from domains.distillation.times import Times
from domains.lidar.denoiser import LidarDenoiser
from domains.lidar.local_noise import STEPS, LocalNoise, moment_loss, time_of

__all__ = ["lidiff_loss", "noise_loss"]

_DROPPED = 0.1


def noise_loss(predicted: Tensor, noise: Tensor) -> Tensor:
    """Return MSE + 5 [mean² + (std − 1)²] of the prediction (Nunes et al. 2024, eqs. 7 and 8).

    Args:
        predicted: Predicted noise, any shape.
        noise: The noise that was added.
    """
    return (predicted - noise).square().mean() + moment_loss(predicted)


def lidiff_loss(
    denoiser: LidarDenoiser,
    process: LocalNoise,
    batch: Batch,
    draws: Draws,
    times: Times | None = None,
) -> Loss:
    """Draw timesteps, noise and whether the condition is dropped; return the training loss.

    Args:
        denoiser: Network to train.
        process: Its noise.
        batch: Scenes: truth in ``points`` and the condition "partial", metre.
        draws: Numbers of this micro-batch.
        times: Where times are drawn; None: all of LiDiff's timesteps alike.
    """
    assert batch.points is not None
    scans = len(batch.points)
    time = _drawn_times(scans, draws, times).to(batch.points.device)
    noise = draws.noise("noise")(batch.shape)
    noisy = process.perturb(batch.points, noise, time, batch)
    # A batch of one scan is never told nothing, as in LiDiff.
    if scans > 1 and torch.rand((), generator=draws.source("condition")) < _DROPPED:
        batch = replace(batch, condition={})
    predicted = denoiser.noise(noisy, time, batch)
    error = (predicted - noise).square().mean((1, 2)).detach()
    plain = (predicted - noise).square().mean()
    loss = noise_loss(predicted, noise) if process.regularised else plain
    return Loss(loss, {"noise": error.mean(), **by_time("noise", error, time)})


def _drawn_times(scans: int, draws: Draws, times: Times | None) -> Float[Tensor, " b"]:
    source = draws.source("time")
    if times is None:
        return time_of(torch.randint(STEPS, (scans,), generator=source))
    return times.sample(scans, source)
