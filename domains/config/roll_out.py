"""Settings of the student's roll-outs."""

from __future__ import annotations

from pydantic import Field

from domains.config.base import Config
from domains.config.samplers import Renoise

__all__ = ["RollOutConfig"]


class RollOutConfig(Config):
    """How the student samples during training."""

    steps: int = Field(default=8, ge=1, le=400)
    """Steps of a roll-out."""
    noise_scale: float = Field(default=1.0, ge=0)
    """Noise scale γ of the roll-out."""
    deterministic: bool = False
    """Draw only the first noise and keep it (the ODE), as the sampler of that name does."""
    self_conditioning: bool = False
    """Feed the last clean estimate back to the student, as the sampler of that name does
    (proteins)."""

    def sampler(self, noise_scale: float) -> Renoise:
        """Return the sampler that plays a student as it was trained, at another noise scale."""
        return Renoise(
            steps=self.steps,
            noise_scale=noise_scale,
            deterministic=self.deterministic,
            self_conditioning=self.self_conditioning,
        )
