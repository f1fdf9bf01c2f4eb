"""Temporal score rescaling (TSR, arXiv 2510.01184): colder samples that keep every mode's weight.

The score is multiplied by

    r(t) = (snr s² + 1) / (snr s² / k + 1),    snr = (α / σ)²,

which sharpens a mode of standard deviation s to s / √k where the noise is small, and leaves the
score alone where the noise is large, so that no mode gains at another's cost. Exact for
Gaussians of standard deviation s, and for mixtures of such that are far apart.
"""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float
from pydantic import Field

from domains.batch import Batch
from domains.distillation.denoiser import Denoiser
from domains.distillation.process import NoiseProcess
from domains.lazy import torch
from domains.settings import Config

__all__ = ["Rescale", "Rescaled"]


class Rescale(Config):
    """Temporal score rescaling (2510.01184): colder samples that keep every mode's weight."""

    sharpness: float = Field(gt=0)
    """k, the factor of the score near the data: a mode's standard deviation is divided by √k."""
    spread: float = Field(default=1.0, gt=0)
    """s, the scale at which sharpening sets in, in nm or m; larger ones sharpen earlier."""

    def weights(
        self, process: NoiseProcess, time: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return r and (1 − r) / α, finite at both ends: the weights of D and of x_t in D'.

        r is 1 where there is only noise, and k where there is none.
        """
        alpha, variance = process.alpha(time), self.spread**2
        below = self._variance(process, time)
        factor = (alpha**2 * variance + process.sigma(time) ** 2) / below
        return factor, alpha * variance * (1 / self.sharpness - 1) / below

    def _variance(self, process: NoiseProcess, time: torch.Tensor) -> torch.Tensor:
        """Return α² s²/k + σ²: the variance at ``time`` of a sharpened Gaussian."""
        signal = (process.alpha(time) * self.spread) ** 2
        return signal / self.sharpness + process.sigma(time) ** 2

    def shrinkage(
        self, process: NoiseProcess, time: torch.Tensor, later: torch.Tensor
    ) -> torch.Tensor:
        """Return the factor on the noise from ``time`` to ``later``, beside σ itself.

        The flow of the rescaled score is linear in x while the plain clean estimate D stays as it
        is, and is solved in closed form: with u = α/σ and ε̂ the noise implied by D,

            x(t') = α' D + σ' g ε̂,    g = [(1 + u'² s²/k) / (1 + u² s²/k)]^((1 − k)/2).

        So a step of this exponential integrator is one of DDIM with the kept noise times g. It is
        finite and stable whatever the step, where an Euler step of length Δt is unstable as soon
        as r Δt ≥ 1 − t. k = 1 has g = 1: DDIM, the Euler step of the plain flow.
        """
        before = self._variance(process, time) / process.sigma(time) ** 2
        # Not the ratio's inverse: σ' is 0 at the data.
        ratio = before * process.sigma(later) ** 2 / self._variance(process, later)
        return ratio ** ((self.sharpness - 1) / 2)


@dataclass(frozen=True)
class Rescaled:
    """The denoiser whose score is the rescaled one of another: D' = r D + (1 − r) x_t / α.

    It is no mean of clean points (it overshoots D by up to k), so it is for objectives, which
    compare scores. Samplers take ``Rescale`` itself.

    Attributes:
        denoiser: The plain denoiser; self-conditioning is passed on to it.
        process: Noise process.
        rescale: k and s.
    """

    denoiser: Denoiser
    process: NoiseProcess
    rescale: Rescale

    def __call__(
        self,
        noisy: Float[torch.Tensor, "b n 3"],
        time: Float[torch.Tensor, " b"],
        batch: Batch,
        previous: Float[torch.Tensor, "b n 3"] | None = None,
    ) -> Float[torch.Tensor, "b n 3"]:
        """Estimate the clean points of the rescaled score."""
        clean = self.denoiser(noisy, time, batch, previous)
        if self.rescale.sharpness == 1.0:
            return clean
        t, origin = time[:, None, None], 0.0 if batch.origin is None else batch.origin
        share, kept = self.rescale.weights(self.process, t)
        moved = origin + share * (clean - origin) + kept * (noisy - origin)
        return moved * batch.mask[..., None]
