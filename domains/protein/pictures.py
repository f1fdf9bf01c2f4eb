"""Pictures of chains: one after the other, turned so that their longest axes lie in the plane."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float
from PIL import Image, ImageDraw

from domains.files.provenance import atomic_path

__all__ = ["draw_chains", "write_chains"]

_CELL, _COLUMNS, _FINER = 240, 5, 3
_MARGIN = 0.08
# From the first residue (blue) to the last (red), over colours that differ in lightness, too.
_RAMP = np.array([[33, 102, 172], [103, 169, 207], [120, 198, 121], [253, 174, 97], [178, 24, 43]])
_HAZE = 0.55  # share of white in the colour of what is farthest away


def draw_chains(chains: Sequence[Float[np.ndarray, "n 3"]]) -> Image.Image:
    """Draw Cα traces in rows of five, each as large as fits, far residues paler.

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


def write_chains(path: Path, chains: Sequence[Float[np.ndarray, "n 3"]]) -> None:
    """Write the picture of ``draw_chains`` as PNG, atomically."""
    with atomic_path(path) as temporary:
        draw_chains(chains).save(temporary, format="PNG")


def _trace(chain: Float[np.ndarray, "n 3"]) -> Image.Image:
    edge = _CELL * _FINER
    points, depth = _placed(chain)
    places = (points * (1 - 2 * _MARGIN) + 0.5) * edge
    image = Image.new("RGB", (edge, edge), "white")
    pen = ImageDraw.Draw(image)
    middle = (depth[:-1] + depth[1:]) / 2
    colours = _colours(len(chain) - 1)
    width = edge // 45
    for step in np.argsort(middle):
        paler = _HAZE * (1 - middle[step])
        colour = tuple(int(c + (255 - c) * paler) for c in colours[step])
        ends = [tuple(places[step]), tuple(places[step + 1])]
        pen.line([*ends[0], *ends[1]], fill="white", width=width * 2)
        pen.line([*ends[0], *ends[1]], fill=colour, width=width)
        for x, y in ends:
            half = width / 2
            pen.ellipse([x - half, y - half, x + half, y + half], fill=colour)
    return image.resize((_CELL, _CELL), Image.Resampling.LANCZOS)


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
