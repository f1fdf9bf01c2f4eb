"""Settings of the plane field; loads no torch."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from domains.config.fields import FieldSettings
from domains.config.run import RunConfig
from domains.config.sections import Generate
from domains.evaluation.statistics.sets import Metric

__all__ = ["METRICS", "SETTINGS", "PlaneGenerate", "PlaneRun"]


class PlaneGenerate(Generate):
    """How many clouds of how many points."""

    clouds: int = Field(ge=1)
    """Number of clouds."""
    points: int = Field(default=64, ge=2)
    """Points of each."""

    @property
    def count(self) -> int:
        """Number of samples of a set."""
        return self.clouds

    def size(self, sample: int) -> int:
        """Return the number of points of a cloud."""
        return self.points


class PlaneRun(RunConfig):
    """A run with points in a plane."""

    domain: Literal["plane"]
    """Scientific field."""
    generate: PlaneGenerate
    """How many clouds."""


METRICS = {"wasserstein": Metric("Wasserstein distance", "To as many true points.", "lower")}
SETTINGS = FieldSettings(
    name="plane",
    run=PlaneRun,
    implementation="fewstep_plane.field:FIELD",
    metrics="fewstep_plane.settings:METRICS",
)
