"""Points of a roll-out that are diffused on, and the score of what becomes of them."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float

from domains.batch import Batch
from domains.device import sent
from domains.distillation.objectives.objective import per_sample
from domains.distillation.process import NoiseProcess
from domains.distillation.roles import Draws
from domains.distillation.times import Times
from domains.lazy import torch

__all__ = ["Diffused", "diffuse_on"]

# Least share of fresh noise: a score where nothing was added has no value.
_LEAST_FRESH = 1e-3


@dataclass(frozen=True)
class Diffused:
    """A point of the student's roll-out, x_t', diffused on to an earlier time τ.

    Attributes:
        clean: x, the clean estimate that leads to x_t'; it may carry a gradient.
        noisy: x_τ: no gradient.
        time: τ of each sample.
        noise: Noise of ``noisy`` as seen from x.
        fresh: ε, what was added after x_t', standard normal.
        share: Of ε in the noise, from 0 (τ = t') to 1.
    """

    clean: Float[torch.Tensor, "b n 3"]
    noisy: Float[torch.Tensor, "b n 3"]
    time: Float[torch.Tensor, " b"]
    noise: Float[torch.Tensor, "b n 3"]
    fresh: Float[torch.Tensor, "b n 3"]
    share: Float[torch.Tensor, "b 1 1"]

    def importance(self, batch: Batch) -> Float[torch.Tensor, " b"]:
        """Return q(x_τ | x) / q(x_τ | x_t') to the power of one over the number of coordinates.

        So it is in the authors' program: the ratio itself would leave one sample of a batch.
        """
        excess = per_sample(self.noise**2 - self.fresh**2, batch) / (3 * batch.sizes)
        return torch.exp(-0.5 * excess)

    def interval_target(self, process: NoiseProcess, batch: Batch) -> Float[torch.Tensor, "b n 3"]:
        """Return the clean estimate whose score is ∇ log q(x_τ | x_t') (2510.27684)."""
        return process.clean_of_noise(self.fresh / self.share, self.noisy, self.time, batch)


def diffuse_on(
    clean: Float[torch.Tensor, "b n 3"],
    noise: Float[torch.Tensor, "b n 3"],
    end: float,
    process: NoiseProcess,
    batch: Batch,
    draws: Draws,
    times: Times,
    low: float = 0.0,
) -> Diffused:
    """Diffuse the point x_t' with this clean estimate and noise on to drawn times.

    Args:
        clean: x; its gradient is kept in the result's ``clean`` only.
        noise: Of x_t' as seen from x.
        end: t', the latest time.
        process: Noise process.
        batch: Mask, origin.
        draws: Numbers of this micro-batch.
        times: Of τ; squeezed into [low, end].
        low: Earliest time; 0 is noise.
    """
    with torch.no_grad():
        drawn = sent(times.sample(len(clean), draws.source("time")), clean.device)
        time = times.squeezed(drawn, low, end)
        kept = process.noise_share(torch.full_like(time, end), time)[:, None, None]
        share = (1 - kept**2).clamp(min=_LEAST_FRESH**2).sqrt()
        fresh = process.project(draws.noise("noise")(batch.shape), batch)
        noise = kept * noise + share * fresh
        noisy = process.perturb(clean, noise, time, batch)
    return Diffused(clean, noisy, time, noise, fresh, share)
