"""Settings of the student's roll-outs."""

from __future__ import annotations

from pydantic import Field, model_validator

from domains.config.base import Config
from domains.config.samplers import Fresh, Renoise, Times, check_times

__all__ = ["RollOutConfig"]


class RollOutConfig(Config):
    """How the student samples during training."""

    steps: int = Field(default=8, ge=1, le=400)
    """Steps of a roll-out."""
    noise_scale: float = Field(default=1.0, ge=0)
    """Noise scale γ of the roll-out."""
    deterministic: bool = False
    """Draw only the first noise and keep it (the ODE), as the sampler of that name does."""
    eta: Fresh = 1.0
    """Share η of fresh noise in a step's noise, as the sampler has it."""
    times: Times = ()
    """Times of the steps, rising from noise (0) to data (1), such as `tune` finds for the teacher;
    none: the field's own."""
    self_conditioning: bool = False
    """Feed the last clean estimate back to the student, as the sampler of that name does
    (proteins)."""

    @model_validator(mode="after")
    def _is_a_sampler(self) -> RollOutConfig:
        check_times(self.times, self.steps)
        if self.deterministic and self.eta != 1.0:
            raise ValueError("eta is of no use with deterministic: true, which is eta: 0")
        return self

    def sampler(self, noise_scale: float) -> Renoise:
        """Return the sampler that plays a student as it was trained, at another noise scale."""
        return Renoise(
            steps=self.steps,
            noise_scale=noise_scale,
            deterministic=self.deterministic,
            eta=self.eta,
            times=self.times,
            self_conditioning=self.self_conditioning,
        )
