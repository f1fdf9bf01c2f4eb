"""Street furniture: fences, walls, poles, signs, bins and people."""

import numpy as np

from domains.lidar.simulator.labels import Label
from domains.lidar.simulator.meshes import Mesh, box, cylinder, merged, placed, repeated

__all__ = ["draw_bin", "draw_fence", "draw_person", "draw_pole", "draw_wall"]


def draw_wall(rng: np.random.Generator, length: float) -> Mesh:
    """Draw a garden wall along x, 0.5-2 m high."""
    return box(length, 0.25, rng.uniform(0.5, 2.0), Label.FENCE, rng.uniform(0.2, 0.5))


def draw_fence(rng: np.random.Generator, length: float) -> Mesh:
    """Draw a fence of upright slats along x, with gaps to see through."""
    height, gap = rng.uniform(0.8, 1.6), rng.uniform(0.14, 0.3)
    slat = box(0.09, 0.03, height, Label.FENCE, 0.35)
    rail = box(length, 0.05, 0.07, Label.FENCE, 0.35)
    x, z = np.arange(-length / 2, length / 2, gap), np.array([0.2, height - 0.2])
    slats = repeated(slat, x[:, None] * np.array([1.0, 0.0, 0.0]))
    return merged([slats, repeated(rail, z[:, None] * np.array([0.0, 0.0, 1.0]))])


def draw_pole(rng: np.random.Generator) -> Mesh:
    """Draw a lamp post or a traffic sign."""
    if rng.random() < 0.5:
        arm = placed(box(1.2, 0.12, 0.1, Label.POLE, 0.3), np.array([0.5, 0.0, 6.0]))
        return merged([cylinder(0.09, rng.uniform(4.5, 8), Label.POLE, 0.3), arm])
    board = placed(box(0.03, 0.6, 0.6, Label.SIGN, 0.9), np.array([0.05, 0.0, 2.1]))
    return merged([cylinder(0.035, 2.7, Label.POLE, 0.4), board])


def draw_bin(rng: np.random.Generator) -> Mesh:
    """Draw a waste bin, a box of switches or a stack of something."""
    length, width, height = rng.uniform([0.4, 0.4, 0.6], [1.0, 0.8, 1.4])
    return box(length, width, height, Label.OBJECT, rng.uniform(0.1, 0.4))


def draw_person(rng: np.random.Generator, label: int) -> Mesh:
    """Draw someone standing or walking: two legs, a trunk and a head."""
    tall = rng.uniform(1.5, 1.9)
    stride = rng.uniform(0.05, 0.25)
    leg = cylinder(0.08, 0.48 * tall, label, 0.3)
    trunk = cylinder(0.2, 0.38 * tall, label, 0.3)
    head = box(0.18, 0.16, 0.13 * tall, label, 0.35)
    return merged(
        [
            placed(leg, np.array([stride, 0.09, 0.0])),
            placed(leg, np.array([-stride, -0.09, 0.0])),
            placed(trunk, np.array([0.0, 0.0, 0.48 * tall])),
            placed(head, np.array([0.0, 0.0, 0.87 * tall])),
        ]
    )
