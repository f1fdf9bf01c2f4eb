"""LiDiff's augmentation: one random similarity for the scan and its ground truth.

Nunes et al. 2024, ``points_datasets.transforms``: a turn about z, a small turn about all three
axes, a scale and a flip of y. All are linear, so that they are one matrix, drawn once and
given to both clouds: ``points @ matrix``.
"""

import numpy as np
from jaxtyping import Float

__all__ = ["draw_similarity"]

WOBBLE, WOBBLE_LIMIT = 0.06, 0.18
SCALES = (0.95, 1.05)


def draw_similarity(rng: np.random.Generator) -> Float[np.ndarray, "3 3"]:
    """Draw the matrix M of ``points @ M``: turn, wobble, scale, flip, in this order."""
    turn = _about_z(rng.uniform(0.0, 2 * np.pi))
    angles = np.clip(rng.normal(0.0, WOBBLE, 3), -WOBBLE_LIMIT, WOBBLE_LIMIT)
    scale = rng.uniform(*SCALES)
    flip = np.diag([1.0, -1.0 if rng.random() < 0.5 else 1.0, 1.0])
    return turn @ _about_axes(angles) @ (scale * flip)


def _about_z(angle: float) -> Float[np.ndarray, "3 3"]:
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])


def _about_axes(angles: Float[np.ndarray, " 3"]) -> Float[np.ndarray, "3 3"]:
    """Return R = Rz Ry Rx."""
    (cx, cy, cz), (sx, sy, sz) = np.cos(angles), np.sin(angles)
    about_x = np.array([[1.0, 0.0, 0.0], [0.0, cx, -sx], [0.0, sx, cx]])
    about_y = np.array([[cy, 0.0, sy], [0.0, 1.0, 0.0], [-sy, 0.0, cy]])
    about_z = np.array([[cz, -sz, 0.0], [sz, cz, 0.0], [0.0, 0.0, 1.0]])
    return about_z @ about_y @ about_x
