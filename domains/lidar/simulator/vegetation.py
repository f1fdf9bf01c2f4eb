"""Trees, bushes and hedges: clouds of small leaves that let some of the light through."""

import numpy as np
from jaxtyping import Float

from domains.lidar.simulator.labels import Label
from domains.lidar.simulator.meshes import Mesh, cylinder, merged

__all__ = ["draw_bush", "draw_hedge", "draw_tree"]


def _leaves(rng: np.random.Generator, centres: Float[np.ndarray, "n 3"], size: float) -> Mesh:
    """Return one randomly turned triangle of about ``size`` metres per centre."""
    corners = centres[:, None] + rng.normal(0.0, size, (len(centres), 3, 3))
    faces = np.arange(3 * len(centres)).reshape(-1, 3)
    return Mesh.of(corners.reshape(-1, 3), faces, Label.VEGETATION, rng.uniform(0.25, 0.5))


def _ball(rng: np.random.Generator, count: int) -> Float[np.ndarray, "n 3"]:
    """Return points in the unit ball, more of them near its surface, as leaves grow."""
    direction = rng.normal(size=(count, 3))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    return direction * rng.uniform(0, 1, (count, 1)) ** 0.25


def draw_tree(rng: np.random.Generator) -> Mesh:
    """Draw a tree of 4-14 m: a trunk and a crown of a few overlapping balls of leaves."""
    height = rng.uniform(4, 14)
    stem = height * rng.uniform(0.2, 0.4)
    radius = height * rng.uniform(0.15, 0.3)
    lobes = []
    for _ in range(rng.integers(3, 7)):
        up = rng.uniform(stem + 0.4 * radius, height - 0.4 * radius)
        centre = np.array([*rng.normal(0, 0.35 * radius, 2), up])
        extent = radius * rng.uniform(0.4, 0.75, 3)
        lobes.append(centre + _ball(rng, int(60 * extent.prod() ** (2 / 3)) + 40) * extent)
    trunk = cylinder(height * 0.018 + 0.04, 0.8 * height, Label.TRUNK, 0.3)
    return merged([trunk, _leaves(rng, np.concatenate(lobes), 0.13)])


def draw_bush(rng: np.random.Generator) -> Mesh:
    """Draw a bush of 0.5-2 m."""
    extent = np.array([*rng.uniform(0.4, 1.5, 2), rng.uniform(0.3, 1.0)])
    centres = _ball(rng, int(90 * extent.prod() ** (2 / 3)) + 30) * extent
    centres[:, 2] += 0.7 * extent[2]
    return _leaves(rng, centres, 0.09)


def draw_hedge(rng: np.random.Generator, length: float, width: float, height: float) -> Mesh:
    """Draw a hedge along x: leaves on the faces of a box, and fewer inside it."""
    area = length * (2 * height + width)
    centres = rng.uniform(-0.5, 0.5, (int(22 * area), 3))
    to_face = rng.choice(3, len(centres), p=[0.4, 0.4, 0.2])
    centres[to_face == 0, 1] = 0.5
    centres[to_face == 1, 1] = -0.5
    centres[to_face == 2, 2] = 0.5
    centres *= 1 + rng.normal(0, 0.08, centres.shape) * [0, 1, 1]
    centres = (centres + np.array([0.0, 0.0, 0.5])) * [length, width, height]
    return _leaves(rng, centres, 0.12)
