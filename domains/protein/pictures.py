"""Pictures of chains: one after the other, turned so that their longest axes lie in the plane."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float
from PIL import Image

from domains.batch import Sample
from domains.files.provenance import atomic_path

__all__ = ["draw_chains", "write_chains"]

_CELL, _COLUMNS, _FINER = 240, 5, 3
_MARGIN = 0.08
# From the first residue (blue) to the last (red), over colours that differ in lightness, too.
_RAMP = np.array([[33, 102, 172], [103, 169, 207], [120, 198, 121], [253, 174, 97], [178, 24, 43]])
_BETWEEN = 14  # points of the spline a residue
_RADIUS = 0.017  # of the tube, as a share of the picture's edge
_HAZE = 0.55  # share of white in the colour of what is farthest away


def draw_chains(chains: Sequence[Float[np.ndarray, "n 3"]]) -> Image.Image:
    """Draw Cα traces as smooth tubes in rows of five, each as large as fits, far residues paler.

    Args:
        chains: Finite coordinates, at least two residues each, in any unit.
    """
    columns = max(1, min(_COLUMNS, len(chains)))
    rows = max(1, math.ceil(len(chains) / columns))
    sheet = Image.new("RGB", (columns * _CELL, rows * _CELL), "white")
    for number, chain in enumerate(chains):
        row, column = divmod(number, columns)
        sheet.paste(_trace(chain), (column * _CELL, row * _CELL))
    return sheet


def write_chains(samples: Sequence[Sample], path: Path) -> None:
    """Write the picture of ``draw_chains`` as PNG, atomically."""
    with atomic_path(path) as temporary:
        draw_chains([one.points.numpy() for one in samples]).save(temporary, format="PNG")


def _trace(chain: Float[np.ndarray, "n 3"]) -> Image.Image:
    """Draw one chain as a tube in light from the upper left, hidden where another part is nearer.

    Along a spline it is many balls, each pixel showing the nearest.
    """
    edge = _CELL * _FINER
    places, depth = _placed(_smooth(chain))
    places = (places * (1 - 2 * _MARGIN) + 0.5) * edge
    colours = _paler(_colours(len(places)), depth)
    ball, light, height = _ball(edge * _RADIUS)
    picture = np.full((edge, edge, 3), 255.0)
    nearest = np.full((edge, edge), -np.inf)
    reach = len(ball) // 2
    for (x, y), z, colour in zip(places.round().astype(int), depth * edge, colours, strict=True):
        window = slice(y - reach, y + reach + 1), slice(x - reach, x + reach + 1)
        seen = ball & (z + height > nearest[window])
        nearest[window][seen] = (z + height)[seen]
        picture[window][seen] = (light[..., None] * colour)[seen]
    image = Image.fromarray(picture.clip(0, 255).astype(np.uint8))
    return image.resize((_CELL, _CELL), Image.Resampling.LANCZOS)


def _ball(radius: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the disc of a ball, its light there and its height, in pixels."""
    reach = int(np.ceil(radius))
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    height = np.sqrt(np.maximum(radius**2 - x**2 - y**2, 0.0))
    lit = np.clip((-0.45 * x - 0.6 * y + 0.66 * height) / radius, 0, 1)
    rim = np.where(height < 0.35 * radius, 0.55, 1.0)
    return x**2 + y**2 <= radius**2, (0.62 + 0.45 * lit) * rim, height


def _smooth(chain: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "m 3"]:
    """Return points of a cubic spline through the residues, close to each other."""
    from scipy.interpolate import make_interp_spline

    degree = min(3, len(chain) - 1)
    spline = make_interp_spline(np.arange(len(chain)), chain, k=degree)
    return spline(np.linspace(0, len(chain) - 1, (len(chain) - 1) * _BETWEEN + 1))


def _paler(
    colours: Float[np.ndarray, "n 3"], depth: Float[np.ndarray, " n"]
) -> Float[np.ndarray, "n 3"]:
    """Return colours, paler the farther away."""
    return colours + (255 - colours) * _HAZE * (1 - depth)[:, None]


def _placed(chain: Float[np.ndarray, "n 3"]) -> tuple[np.ndarray, np.ndarray]:
    """Return places in the plane, within ±1/2, and nearness, 0 to 1."""
    centred = chain - chain.mean(0)
    _, _, axes = np.linalg.svd(centred, full_matrices=False)
    axes[2] *= np.sign(np.linalg.det(axes)) or 1.0  # no mirror image
    turned = centred @ axes.T
    largest = max(float(np.ptp(turned[:, :2], axis=0).max()), 1e-9)
    middle = (turned.max(0) + turned.min(0)) / 2
    flat = (turned - middle)[:, :2] / largest
    far = turned[:, 2] - turned[:, 2].min()
    # In pictures y runs downwards: the second axis is turned with the depth.
    return flat * [1.0, -1.0], far / max(float(far.max()), 1e-9)


def _colours(count: int) -> Float[np.ndarray, "n 3"]:
    places = np.linspace(0, len(_RAMP) - 1, max(count, 1))
    return np.stack([np.interp(places, range(len(_RAMP)), channel) for channel in _RAMP.T], 1)
