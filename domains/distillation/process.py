"""Forward noise processes: one equation, its inverses, and the components it ignores."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Literal

from jaxtyping import Float

from domains.batch import Batch
from domains.distillation.sampling.schedule import renoise_times
from domains.lazy import torch

__all__ = ["Centring", "FlowMatching", "NoiseProcess"]

Centring = Literal["masked", "none"]


class NoiseProcess(ABC):
    """x_t = origin + α(t) (x_0 − origin) + σ(t) ε, with inverses between its parametrisations.

    Times are tensors of shape [b]; points have shape [b, n, 3].
    """

    @abstractmethod
    def alpha(self, time: torch.Tensor) -> torch.Tensor:
        """Return the share of the clean signal."""

    @abstractmethod
    def sigma(self, time: torch.Tensor) -> torch.Tensor:
        """Return the standard deviation of the noise."""

    @abstractmethod
    def times(self, steps: int) -> Float[torch.Tensor, " k"]:
        """Return the default times of a few-step roll-out, from noisy to clean."""

    @abstractmethod
    def denoising_weight(self, time: Float[torch.Tensor, " b"]) -> Float[torch.Tensor, " b"]:
        """Return the weight of ‖x − D‖² in the teacher's own training loss."""

    def regulariser(
        self,
        estimate: Float[torch.Tensor, "b n 3"],
        noisy: Float[torch.Tensor, "b n 3"],
        time: Float[torch.Tensor, " b"],
        batch: Batch,
    ) -> Float[torch.Tensor, " b"]:
        """Compute the teacher's regulariser [b], added to its denoising loss; 0 by default.

        A fake score's loss has it, too: else it differs from the teacher on perfect samples.
        """
        return torch.zeros_like(time)

    @abstractmethod
    def project(
        self, points: Float[torch.Tensor, "b n 3"], batch: Batch
    ) -> Float[torch.Tensor, "b n 3"]:
        """Remove padding and the components that the process does not see, such as the centre."""

    def target(
        self, clean: Float[torch.Tensor, "b n 3"], batch: Batch
    ) -> Float[torch.Tensor, "b n 3"]:
        """Project a clean estimate onto the components that a denoiser can see."""
        relative = self.project(clean - _origin(batch), batch)
        return (relative + _origin(batch)) * batch.mask[..., None]

    def perturb(
        self,
        clean: Float[torch.Tensor, "b n 3"],
        noise: Float[torch.Tensor, "b n 3"],
        time: Float[torch.Tensor, " b"],
        batch: Batch,
    ) -> Float[torch.Tensor, "b n 3"]:
        """Return x_t of clean points; differentiable in ``clean``."""
        t = _column(time)
        clean, noise = self._relative(clean, batch), self._noise(noise, batch)
        mixed = self.alpha(t) * clean + self.sigma(t) * noise
        if batch.origin is not None:
            mixed = mixed + batch.origin
        return mixed * batch.mask[..., None]

    def _relative(self, clean: torch.Tensor, batch: Batch) -> torch.Tensor:
        return self.project(clean if batch.origin is None else clean - batch.origin, batch)

    def _noise(self, noise: torch.Tensor, batch: Batch) -> torch.Tensor:
        return self.project(noise, batch)

    def noise_of(
        self, clean: torch.Tensor, noisy: torch.Tensor, time: torch.Tensor, batch: Batch
    ) -> torch.Tensor:
        """Return ε = (x_t − origin − α (x − origin)) / σ."""
        t, origin = _column(time), _origin(batch)
        return (noisy - origin - self.alpha(t) * (clean - origin)) / self.sigma(t)

    def clean_of_noise(
        self, noise: torch.Tensor, noisy: torch.Tensor, time: torch.Tensor, batch: Batch
    ) -> torch.Tensor:
        """Return x = origin + (x_t − origin − σ ε) / α."""
        t, origin = _column(time), _origin(batch)
        return origin + (noisy - origin - self.sigma(t) * noise) / self.alpha(t)

    def between(self, time: torch.Tensor, later: torch.Tensor, share: float) -> torch.Tensor:
        """Interpolate from ``time`` to ``later`` by ``share`` in [0, 1], by default linearly."""
        return torch.lerp(time, later, share)

    def noise_share(self, time: torch.Tensor, noisier: torch.Tensor) -> torch.Tensor:
        """Return the correlation [b] of the noise at ``time`` and ``noisier``, if diffused on.

        x_t becomes x with the noise share · ε + sqrt(1 − share²) · ε', ε' independent of ε:
        share = α' σ / (α σ').
        """
        return self.alpha(noisier) * self.sigma(time) / (self.alpha(time) * self.sigma(noisier))


@dataclass(frozen=True)
class FlowMatching(NoiseProcess):
    """Proteina's linear path x_t = (1−t) ε + t x, from noise (t=0) to data (t=1).

    Args:
        centring: What "centred" means. "masked" removes the centre of mass of the real
            residues. "none" is for motif models, whose frame is the motif.
    """

    centring: Centring = "masked"

    def alpha(self, time: torch.Tensor) -> torch.Tensor:
        """Return t."""
        return time

    def sigma(self, time: torch.Tensor) -> torch.Tensor:
        """Return 1 − t."""
        return 1 - time

    def times(self, steps: int) -> Float[torch.Tensor, " k"]:
        """Return SiD's times (arXiv 2510.03095)."""
        return renoise_times(steps)

    def between(self, time: torch.Tensor, later: torch.Tensor, share: float) -> torch.Tensor:
        """Interpolate from ``time`` to ``later``, linearly in the logarithm of the noise."""
        if share == 1:
            return later
        return 1 - (1 - time) ** (1 - share) * (1 - later) ** share

    def denoising_weight(self, time: Float[torch.Tensor, " b"]) -> Float[torch.Tensor, " b"]:
        """Return 1/((1−t)² + 1e-5): the velocity's error, finite at t = 1 (Proteina, eq. 3)."""
        return 1 / ((1 - time) ** 2 + 1e-5)

    def project(
        self, points: Float[torch.Tensor, "b n 3"], batch: Batch
    ) -> Float[torch.Tensor, "b n 3"]:
        """Return the points masked and centred."""
        mask = batch.mask[..., None]
        points = points * mask
        if self.centring == "none":
            return points
        mean = points.sum(1, keepdim=True) / batch.sizes.to(points.dtype)[:, None, None]
        return (points - mean) * mask


def _column(time: torch.Tensor) -> torch.Tensor:
    return time[:, None, None]


def _origin(batch: Batch) -> torch.Tensor | float:
    return 0.0 if batch.origin is None else batch.origin
