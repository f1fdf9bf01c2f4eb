"""Distributions of a training loss's times."""

from __future__ import annotations

from typing import Literal

from jaxtyping import Float
from pydantic import Field, model_validator

from domains.distillation.sampling.schedule import log_time
from domains.lazy import torch
from domains.settings import Config

__all__ = ["Times"]


class Times(Config):
    """Where training times are drawn."""

    kind: Literal["beta", "log_grid", "uniform"]
    """Proteina's `beta`: Beta(1.9, 1) and 2 % uniform; SiD's `log_grid`: log-spaced; LiDiff's
    `uniform`."""
    low: float = Field(default=0.0, ge=0, lt=1)
    """Earliest time; 0 is noise."""
    high: float = Field(default=1.0, gt=0, le=1)
    """Latest time, above `low`; 1 is data."""

    @model_validator(mode="after")
    def _ordered(self) -> Times:
        if self.low >= self.high:
            raise ValueError(f"low {self.low} must be below high {self.high}")
        return self

    def sample(self, count: int, source: torch.Generator) -> Float[torch.Tensor, " b"]:
        """Draw ``count`` times."""
        if self.kind == "log_grid":
            times = log_time(torch.randint(0, 401, (count,), generator=source))
        elif self.kind == "uniform":
            times = torch.rand(count, generator=source)
        else:
            # Beta(a, 1) has the distribution function u^a.
            beta = torch.rand(count, generator=source) ** (1 / 1.9)
            uniform = torch.rand(count, generator=source)
            times = torch.where(torch.rand(count, generator=source) < 0.02, uniform, beta)
        return times.clamp(self.low, self.high)

    def squeezed(
        self, times: Float[torch.Tensor, " b"], low: float, high: float
    ) -> Float[torch.Tensor, " b"]:
        """Map drawn times, in their order, to the part of the bounds in [low, high]."""
        low, high = (min(max(bound, self.low), self.high) for bound in (low, high))
        width = self.high - self.low
        return low + (times - self.low) * ((high - low) / width if width else 0.0)
