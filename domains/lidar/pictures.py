"""Pictures of LiDAR scenes, drawn without a display.

Views and colours are fixed, so that input, completion and ground truth compare side by side.
"""

from pathlib import Path

import numpy as np
from jaxtyping import Float, Float32, Int, UInt8
from PIL import Image

from domains.errors import FewstepError
from domains.files.provenance import atomic_path

__all__ = ["bird_eye", "perspective", "write_png"]

# Colours of the heights from LOWEST to HIGHEST, metre. Their lightness (OKLab) rises evenly
# from 0.4 to 0.96, so that equal steps look equal, in grey too.
RAMP = ("434073", "3c5c98", "1e7ea7", "289f9f", "60bb83", "b3ca60", "f2d76c", "fff0c5")
LOWEST, HIGHEST = -2.5, 4.0
BACKGROUND = np.array([11, 14, 20], dtype=np.float32)

# The camera, behind and above the sensor; the horizon is a little below the upper edge.
EYE = np.array([-18.0, 0.0, 10.0])
PITCH, FIELD_OF_VIEW = np.radians(17.0), np.radians(56.0)
NEAREST = 2.0
# Points are discs of so many metres, in whole pixels up to the widest.
DIAMETER, WIDEST = 0.12, 5
# Beyond CLEAR metres from the camera, a point fades to 1/e every HAZE metres.
CLEAR, HAZE = 20.0, 90.0
# Seen from above, the picture is drawn finer by FINER and averaged; discs of FINE_DISC fine
# pixels. The camera is CEILING metres above the sensor.
FINER, FINE_DISC, CEILING = 2, 3, 20.0
# Eye-dome lighting (Boucheny 2009): what lies behind its neighbours is darker. Beyond DEEPEST,
# in octaves of distance, it makes no difference how far behind.
SHADING, DEEPEST = 4.0, 0.2
FAR = 1e4

Pixels = Float[np.ndarray, "n 2"]
Depths = Float[np.ndarray, " n"]
Widths = Int[np.ndarray, " n"]


def bird_eye(
    points: Float[np.ndarray, "n 3"], size: int = 512, half_edge: float = 50.0
) -> UInt8[np.ndarray, "{size} {size} 3"]:
    """Draw a scene from above, ahead being up; of the points in a pixel the highest is seen.

    Args:
        points: In the sensor frame (x ahead, y to the left, z up), metre.
        size: Edge of the picture, pixel.
        half_edge: Distance from the sensor to each edge, metre.

    Raises:
        FewstepError: A point isn't finite.
    """
    _require_finite(points)
    edge = FINER * size
    pixels = (half_edge - points[:, :2]) * (edge / (2 * half_edge))
    widths = np.full(len(points), FINE_DISC)
    height = points[:, 2]
    depth = np.maximum(CEILING - height, 1)
    fine = _draw(pixels, depth, widths, _light(height), (edge, edge))
    parts = [fine[row::FINER, column::FINER] for row in range(FINER) for column in range(FINER)]
    return _rounded(np.mean(parts, axis=0))


def perspective(
    points: Float[np.ndarray, "n 3"], size: tuple[int, int] = (960, 540)
) -> UInt8[np.ndarray, "{size[1]} {size[0]} 3"]:
    """Draw a scene as a camera sees it that looks ahead and down from behind the sensor.

    Args:
        points: In the sensor frame (x ahead, y to the left, z up), metre.
        size: Width and height, pixel.

    Raises:
        FewstepError: A point isn't finite.
    """
    _require_finite(points)
    columns, rows = size
    sine, cosine = np.sin(PITCH), np.cos(PITCH)
    axes = np.array([[-sine, 0, -cosine], [0, -1, 0], [cosine, 0, -sine]])  # down, right, ahead
    seen = (points - EYE) @ axes.T
    visible = seen[:, 2] > NEAREST
    depth = seen[visible, 2]
    focal = columns / 2 / np.tan(FIELD_OF_VIEW / 2)
    pixels = np.array([rows, columns]) / 2 + focal * seen[visible, :2] / depth[:, None]
    widths = np.clip(np.round(focal * DIAMETER / depth), 1, WIDEST).astype(int)
    haze = np.exp(-np.maximum(depth - CLEAR, 0) / HAZE).astype(np.float32)
    light = _light(points[visible, 2]) * haze[:, None]
    return _rounded(_draw(pixels, depth, widths, light, (rows, columns)))


def write_png(path: Path, image: UInt8[np.ndarray, "h w 3"]) -> None:
    """Write a picture, atomically."""
    with atomic_path(path) as temporary:
        Image.fromarray(image).save(temporary, format="PNG", optimize=True)


def _require_finite(points: Float[np.ndarray, "n 3"]) -> None:
    bad = int((~np.isfinite(points).all(1)).sum())
    if bad:
        raise FewstepError(
            "a scene can't be drawn",
            expected="finite points",
            got=f"{bad} of {len(points)} that are not",
        )


def _light(height: Float[np.ndarray, " n"]) -> Float32[np.ndarray, "n 3"]:
    """Return each point's RGB colour minus the background's, by height."""
    stops = np.array([[int(stop[i : i + 2], 16) for i in (0, 2, 4)] for stop in RAMP])
    places = np.linspace(LOWEST, HIGHEST, len(stops))
    colours = np.stack([np.interp(height, places, channel) for channel in stops.T], axis=1)
    return colours.astype(np.float32) - BACKGROUND


def _draw(
    pixels: Pixels,
    depth: Depths,
    widths: Widths,
    light: Float32[np.ndarray, "n 3"],
    shape: tuple[int, int],
) -> Float32[np.ndarray, "h w 3"]:
    """Return the picture of discs around ``pixels`` (row, column); none is behind the camera."""
    front = _front(pixels, depth, widths, shape)
    shade = _shade(np.append(depth, FAR).astype(np.float32)[front])
    return BACKGROUND + shade[..., None] * np.vstack([light, np.zeros_like(BACKGROUND)])[front]


def _front(
    pixels: Pixels, depth: Depths, widths: Widths, shape: tuple[int, int]
) -> Int[np.ndarray, "h w"]:
    """Return the number of the point that is seen in each pixel, or -1."""
    # A margin takes the parts of discs that stick out.
    edges = np.array(shape) + 2 * WIDEST
    corner = np.floor(pixels - (widths[:, None] - 1) / 2) + WIDEST
    inside = np.flatnonzero(((corner >= 0) & (corner < edges - WIDEST)).all(1))
    order = inside[np.argsort(-depth[inside], kind="stable")]
    stride = np.array([edges[1], 1])
    front = np.full(edges.prod(), -1)
    # Wider discs are nearer. Drawn from far to near, each hides what is behind it.
    for width in range(1, WIDEST + 1):
        some = order[widths[order] == width]
        start = (corner[some] @ stride).astype(int)
        front[start[:, None] + _disc(width) @ stride] = some[:, None]
    return front.reshape(edges)[WIDEST:-WIDEST, WIDEST:-WIDEST]


def _disc(width: int) -> Int[np.ndarray, "k 2"]:
    """Return the pixels of a square whose centres lie in its disc."""
    square = np.argwhere(np.ones((width, width)))
    return square[((square - (width - 1) / 2) ** 2).sum(1) <= (width / 2) ** 2]


def _shade(depth: Float32[np.ndarray, "h w"]) -> Float32[np.ndarray, "h w"]:
    """Return exp(-c Σ max(0, log2 d - log2 d')) over the four neighbours d' of each pixel."""
    height, width = depth.shape
    octave = np.log2(np.pad(depth, 1, constant_values=FAR))
    behind = np.zeros_like(depth)
    for row, column in ((0, 1), (1, 0), (1, 2), (2, 1)):
        neighbour = octave[row : row + height, column : column + width]
        behind += np.clip(octave[1:-1, 1:-1] - neighbour, 0, DEEPEST)
    return np.exp(-SHADING * behind)


def _rounded(image: Float32[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "h w 3"]:
    return np.clip(np.round(image), 0, 255).astype(np.uint8)
