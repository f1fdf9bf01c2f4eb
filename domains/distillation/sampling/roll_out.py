"""Settings of the student's roll-outs."""

from __future__ import annotations

from typing import Any

from pydantic import Field, model_validator

from domains.distillation.sampling.settings import (
    Fresh,
    Renoise,
    Times,
    check_times,
    read_deterministic,
)
from domains.settings import Config

__all__ = ["RollOutConfig"]


class RollOutConfig(Config):
    """How the student samples during training."""

    steps: int = Field(default=8, ge=1, le=400)
    """Steps of a roll-out."""
    noise_scale: float = Field(default=1.0, ge=0)
    """Noise scale γ of the roll-out."""
    eta: Fresh = 1.0
    """Share η of fresh noise in a step's noise, as the sampler has it; 0 is deterministic."""
    times: Times = ()
    """Times of the steps, rising from noise (0) to data (1), such as `tune` finds for the teacher;
    none: the field's own."""
    self_conditioning: bool = False
    """Feed the last clean estimate back to the student, as the sampler of that name does
    (proteins)."""
    each_sample: bool = False
    """Draw the step that learns for each sample, not one for a micro-batch (the published way):
    less variance, for a whole roll-out in each update (`tdm`, `progressive` and `phased_dmd` look
    at one step in any case)."""
    shared: bool = Field(default=False, exclude_if=lambda given: not given)
    """Let the fake score and the student of an update learn from the same samples: one roll-out
    less, but what they learn from is no longer independent, and the student's gradients stay in
    memory while the fake score learns (not for objectives with roll-outs of their own)."""

    @model_validator(mode="before")
    @classmethod
    def _older_key(cls, content: Any) -> Any:
        return read_deterministic(content)

    @model_validator(mode="after")
    def _is_a_sampler(self) -> RollOutConfig:
        check_times(self.times, self.steps)
        return self

    @property
    def is_deterministic(self) -> bool:
        """Whether only the first noise is drawn."""
        return self.eta == 0

    def sampler(self, noise_scale: float) -> Renoise:
        """Return the sampler that plays a student as it was trained, at another noise scale."""
        return Renoise(
            steps=self.steps,
            noise_scale=noise_scale,
            eta=self.eta,
            times=self.times,
            self_conditioning=self.self_conditioning,
        )
