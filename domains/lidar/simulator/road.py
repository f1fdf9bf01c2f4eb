"""The road's line and the lie of the land: street coordinates to metres in the world.

Street coordinates are (s, d): metres along the road's middle, and metres to its left.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

__all__ = ["Road", "draw_road"]

SPACING = 0.5
# Beyond the first and last scan, so that the street doesn't end within the sensor's 80 m.
MARGIN = 90.0


@dataclass(frozen=True)
class Road:
    """A curved road on gently rolling ground.

    Attributes:
        line: Points of the middle, ``SPACING`` apart, the first at s = -``MARGIN``.
        headings: Direction at each of them, radian.
        waves: Wave vector (radian per metre), phase and height (metre) of each ground wave.
        length: Metres between the first and the last place of the sensor.
    """

    line: Float[np.ndarray, "k 2"]
    headings: Float[np.ndarray, " k"]
    waves: Float[np.ndarray, "w 4"]
    length: float

    @property
    def ends(self) -> tuple[float, float]:
        """Smallest and largest s of the street."""
        return -MARGIN, self.length + MARGIN

    def heading(self, s: Float[np.ndarray, "*n"] | float) -> Float[np.ndarray, "*n"]:
        """Return the road's direction, radian."""
        return np.asarray(np.interp(s, self._stations, self.headings))

    def ground(self, xy: Float[np.ndarray, "*n 2"]) -> Float[np.ndarray, "*n"]:
        """Return the height of the bare ground, metre."""
        phase = xy @ self.waves[:, :2].T + self.waves[:, 2]
        return np.asarray(np.sin(phase) @ self.waves[:, 3])

    def at(
        self,
        s: Float[np.ndarray, "*n"] | float,
        d: Float[np.ndarray, "*n"] | float,
        up: float = 0.0,
    ) -> Float[np.ndarray, "*n 3"]:
        """Return the place ``up`` metres above the ground at street coordinates (s, d)."""
        s, d = np.broadcast_arrays(np.asarray(s), np.asarray(d))
        angle = self.heading(s)
        middle = np.stack([np.interp(s, self._stations, self.line[:, k]) for k in (0, 1)], -1)
        xy = middle + d[..., None] * np.stack([-np.sin(angle), np.cos(angle)], -1)
        return np.concatenate([xy, self.ground(xy)[..., None] + up], -1)

    @property
    def _stations(self) -> Float[np.ndarray, " k"]:
        return np.arange(len(self.line)) * SPACING - MARGIN


def draw_road(rng: np.random.Generator, length: float) -> Road:
    """Draw a winding road: bends of radius 80 m and more, slopes of a few per cent."""
    s = np.arange(-MARGIN, length + MARGIN + SPACING, SPACING)
    bend, period, phase = rng.normal(0, 1 / 150), rng.uniform(100, 300), rng.uniform(0, 2 * np.pi)
    curvature = np.clip(bend * np.sin(2 * np.pi * s / period + phase), -1 / 80, 1 / 80)
    headings = np.cumsum(curvature) * SPACING
    line = np.cumsum(np.stack([np.cos(headings), np.sin(headings)], -1), 0) * SPACING
    count = 4
    direction = rng.uniform(0, 2 * np.pi, count)
    number = 2 * np.pi / rng.uniform(40, 160, count)
    # A wave's steepest slope is its height times its wave number.
    height = rng.uniform(0.0, 0.016, count) / number
    vectors = number[:, None] * np.stack([np.cos(direction), np.sin(direction)], -1)
    waves = np.column_stack([vectors, rng.uniform(0, 2 * np.pi, count), height])
    return Road(line, headings, waves, length)
