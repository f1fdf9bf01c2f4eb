"""Houses: walls with a plinth, windows and bays, and a gable or flat roof."""

import numpy as np

from domains.lidar.simulator.labels import Label
from domains.lidar.simulator.meshes import Mesh, box, merged, patch, placed, prism, repeated

__all__ = ["draw_house"]

GLASS = 0.05
STOREY = 2.9


def draw_house(rng: np.random.Generator, length: float, depth: float, storeys: int) -> Mesh:
    """Draw a house whose facade lies along x at y = 0 and looks to -y; its body is behind."""
    height = storeys * STOREY + rng.uniform(0.2, 0.8)
    wall = rng.uniform(0.2, 0.6)
    body = placed(box(length, depth, height, Label.BUILDING, wall), np.array([0, depth / 2, -0.5]))
    parts = [body, _windows(rng, length, storeys), *_bays(rng, length, height, wall)]
    if rng.random() < 0.7:
        parts.append(_gable(rng, length, depth, height - 0.5))
    return merged(parts)


def _gable(rng: np.random.Generator, length: float, depth: float, height: float) -> Mesh:
    over, rise = 0.4, depth / 2 * rng.uniform(0.5, 1.0)
    across = depth / 2 + over
    slopes = np.array([[-across, 0.0], [across, 0.0], [0.0, rise]])
    roof = prism(slopes, length + 0.3, Label.BUILDING, 0.25)
    return placed(roof, np.array([0.0, depth / 2, height]), np.pi / 2)


def _windows(rng: np.random.Generator, length: float, storeys: int) -> Mesh:
    """Return rows of panes, a little before the wall."""
    wide, high = rng.uniform(0.8, 1.6), rng.uniform(1.0, 1.6)
    count = int((length - 0.6) / (wide + rng.uniform(0.9, 2.0)))
    x, z = np.meshgrid(
        (np.arange(count) + 0.5) / max(count, 1) * length - length / 2,
        np.arange(storeys) * STOREY + rng.choice([0.5, 0.9]),
    )
    frame = np.array([[[-wide / 2, 0.0], [wide / 2, 0.0]], [[-wide / 2, high], [wide / 2, high]]])
    pane = patch(np.insert(frame, 1, -0.04, axis=-1), Label.BUILDING, GLASS)
    return repeated(pane, np.stack([x.ravel(), np.zeros(x.size), z.ravel()], -1))


def _bays(rng: np.random.Generator, length: float, height: float, wall: float) -> list[Mesh]:
    """Draw protruding parts of a facade: porches, steps, balconies, drainpipes."""
    parts = []
    for _ in range(rng.poisson(0.7 * length)):
        wide, deep, high = rng.uniform([0.1, 0.05, 0.2], [1.8, 0.7, 2.2])
        low = rng.choice([-0.2, rng.uniform(0.0, max(height - 2.5, 0.1))])
        part = box(wide, deep, high, Label.BUILDING, wall)
        x = rng.uniform(-0.5, 0.5) * max(length - wide, 0.0)
        parts.append(placed(part, np.array([x, -deep / 2, low])))
    return parts
