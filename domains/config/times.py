"""Settings of the times that losses are evaluated at."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from domains.config.base import Config

__all__ = ["Times"]


class Times(Config):
    """Where training times are drawn (see ``TimeDistribution``)."""

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
