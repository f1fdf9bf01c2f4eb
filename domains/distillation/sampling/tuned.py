"""Settings of samplers that are found for a model as it is: by a search, or by gradients."""

from __future__ import annotations

import math
from typing import Literal

from pydantic import Field, model_validator

from domains.distillation.sampling.settings import Positive
from domains.settings import Config

__all__ = ["Learn", "RescaleRange", "Tuned"]


class RescaleRange(Config):
    """Where a search draws k and s of `Rescale`, each evenly in its logarithm."""

    sharpness: tuple[Positive, Positive] = (1.5, 8.0)
    """Smallest and largest k."""
    spread: tuple[Positive, Positive] = (0.2, 3.0)
    """Smallest and largest s, in nm or m."""

    @model_validator(mode="after")
    def _ordered(self) -> RescaleRange:
        for name, (low, high) in (("sharpness", self.sharpness), ("spread", self.spread)):
            if low > high:
                raise ValueError(f"{name}: {low:g} must not exceed {high:g}")
        return self


class Learn(Config):
    """How a few-step solver of the model's ODE is learned through the frozen network (LSD).

    It learns to end where many steps end: the times of its calls, a factor of the noise that it
    keeps, and a share of the estimate's last change (2509.19962).
    """

    updates: int = Field(default=100, ge=1, le=100_000)
    """Updates of these few numbers."""
    rate: float = Field(default=0.03, gt=0)
    """Learning rate of Adam."""
    batch_size: int = Field(default=4, ge=1, le=10_000)
    """Samples of an update."""
    teacher_steps: int = Field(default=64, ge=2, le=10_000)
    """Steps of the ODE that it is to end with."""
    huber: float = Field(default=0.02, gt=0)
    """c of the distance between ends, in nm or m: smaller ones count squared."""


class Tuned(Config):
    """Re-noising whose times and noise are searched for the model as it is: it costs no training.

    Schedules are drawn at random and judged, on samples of which none is evaluated: by the field's
    quick quality, which chooses students' checkpoints too, or by their distance from natives.
    """

    kind: Literal["tuned"]
    """Chooses this sampler."""
    steps: int = Field(default=8, ge=1, le=64)
    """Network calls per sample, without guidance."""
    trials: int = Field(default=40, ge=1, le=10_000)
    """Schedules that are tried, beside the usual one."""
    samples: int = Field(default=32, ge=2, le=10_000)
    """Samples that each is judged by."""
    rescale: RescaleRange | None = None
    """Search `eta: 0` at full noise instead: k and s of `rescale`, and the times."""
    learn: Learn | None = Field(default=None, exclude_if=lambda given: given is None)
    """Learn a solver of the ODE by gradients instead of drawing schedules; it is judged against the
    usual samplers all the same."""
    self_conditioning: bool = False
    """Feed the last clean estimate back to the network (proteins)."""
    judge: Literal["quick", "natives"] = "quick"
    """`quick`, the field's own measure; `natives`, how far composition and cross NLL are from those
    of training domains of the samples' lengths (proteins)."""
    guidance: float = 1.0
    """Weight w of classifier-free guidance; 1 is none."""

    @model_validator(mode="after")
    def _one_way(self) -> Tuned:
        if self.learn and (self.rescale or self.self_conditioning):
            raise ValueError("learn goes without rescale and self_conditioning")
        return self

    @property
    def noise_scale(self) -> float:
        """It is not known before the search."""
        return math.nan

    @property
    def autoguidance(self) -> float:
        """The search is for a model alone."""
        return 0.0

    @property
    def needs_tools(self) -> bool:
        """Whether the judge needs weights that have to be fetched."""
        return self.judge == "natives"
