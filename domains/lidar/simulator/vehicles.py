"""Cars: a body, a cabin of glass, a roof and four wheels."""

import numpy as np

from domains.lidar.simulator.meshes import Mesh, box, cylinder, merged, placed, prism

__all__ = ["draw_car"]

# Glass mostly lets the light through, and the lacquer reflects much of it away.
GLASS, TYRE = 0.03, 0.05
SHAPES = {
    "hatchback": (4.0, 1.72, 1.48, 0.26, 0.02),
    "saloon": (4.6, 1.80, 1.45, 0.27, 0.16),
    "estate": (4.7, 1.82, 1.50, 0.27, 0.02),
    "van": (5.2, 1.95, 2.15, 0.14, 0.01),
}


def draw_car(rng: np.random.Generator, label: int) -> Mesh:
    """Draw a car of one of four shapes, front to +x."""
    length, width, height, bonnet, boot = SHAPES[rng.choice(list(SHAPES))]
    length, width, height = np.array([length, width, height]) * rng.uniform(0.94, 1.06, 3)
    paint = rng.uniform(0.1, 0.6)
    belt = 0.58 * height if height < 1.8 else 0.5 * height
    return merged(
        [
            _body(length, width, belt, label, paint),
            _cabin(length, width, belt, height, (bonnet, boot), label, paint),
            *_wheels(length, width, label),
        ]
    )


def _body(length: float, width: float, belt: float, label: int, paint: float) -> Mesh:
    x = length / 2
    profile = [(-x, 0.3), (x - 0.1, 0.25), (x, 0.45), (x - 0.1, 0.75 * belt), (0.25 * x, belt)]
    return prism(np.array([*profile, (-x + 0.05, belt)]), width, label, paint)


def _cabin(
    length: float,
    width: float,
    belt: float,
    height: float,
    ends: tuple[float, float],
    label: int,
    paint: float,
) -> Mesh:
    front, rear = (0.5 - ends[0]) * length, (ends[1] - 0.5) * length
    slope = height - belt
    roof = (rear + 0.35 * slope, front - 0.9 * slope)
    glass = np.array([(rear, belt), (front, belt), (roof[1], height), (roof[0], height)])
    lid = box(roof[1] - roof[0], width - 0.3, 0.03, label, paint)
    place = np.array([(roof[0] + roof[1]) / 2, 0.0, height])
    return merged([prism(glass, width - 0.25, label, GLASS), placed(lid, place)])


def _wheels(length: float, width: float, label: int) -> list[Mesh]:
    disc = cylinder(0.31, 0.2, label, TYRE, sides=10)
    # The cylinder stands up; a wheel's axis lies along y.
    turned = Mesh(disc.vertices[:, [0, 2, 1]], disc.faces, disc.labels, disc.reflectivity)
    corners = [(x, y) for x in (-0.31, 0.31) for y in (-0.5, 0.5 - 0.2 / width)]
    return [placed(turned, np.array([x * length, y * width, 0.31])) for x, y in corners]
