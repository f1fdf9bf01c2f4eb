"""Heat maps and 3-D scenes, packed into the bytes that the page embeds."""

import base64
import math
import struct
import zlib
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from domains.errors import FewstepError

__all__ = ["Frame", "heat_map", "pack_scene"]

_HEAT_STOPS = ("14213d", "26457f", "2f74a3", "3fa39b", "8fc77f", "f5e9a3")
_HEAT_LIMIT = 256  # cells a side: more can't be told apart on a screen


def _palette() -> bytes:
    stops = np.array([[int(stop[i : i + 2], 16) for i in (0, 2, 4)] for stop in _HEAT_STOPS])
    places = np.linspace(0, 1, len(stops))
    at = np.linspace(0, 1, 255)
    ramp = np.stack([np.interp(at, places, stops[:, c]) for c in range(3)], axis=1)
    return bytes(ramp.round().astype(np.uint8).ravel()) + b"\x80\x80\x80"


def _png(indices: NDArray[np.uint8]) -> bytes:
    """Return an 8-bit palette PNG; index 255 (no value) is half transparent."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        check = zlib.crc32(kind + content)
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", check)

    rows, columns = indices.shape
    lines = b"".join(b"\x00" + row.tobytes() for row in indices)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", columns, rows, 8, 3, 0, 0, 0))
        + chunk(b"PLTE", _palette())
        + chunk(b"tRNS", b"\xff" * 255 + b"\x60")
        + chunk(b"IDAT", zlib.compress(lines, 9))
        + chunk(b"IEND", b"")
    )


def heat_map(values: ArrayLike, low: float, high: float) -> str:
    """Return a matrix as a PNG ``data:`` address.

    Args:
        values: Matrix of any shape; at most 256 cells a side are shown (every k-th).
        low: Value of the darkest colour.
        high: Value of the lightest colour.

    Raises:
        FewstepError: ``values`` is no matrix.
    """
    matrix = np.asarray(values, dtype=float)
    if matrix.ndim != 2 or not matrix.size:
        raise FewstepError(
            "a gallery matrix has a wrong shape",
            expected="rows x columns",
            got=matrix.shape,
            do="Write equally long rows of numbers",
        )
    stride = max(1, math.ceil(max(matrix.shape) / _HEAT_LIMIT))
    matrix = matrix[::stride, ::stride]
    share = np.clip((matrix - low) / ((high - low) or 1.0), 0, 1)
    indices = np.where(np.isfinite(matrix), np.nan_to_num(share) * 254, 255)
    return (
        "data:image/png;base64," + base64.b64encode(_png(indices.round().astype(np.uint8))).decode()
    )


class Frame(NamedTuple):
    """A box that several clouds are shown in, so that one can be put in another's place.

    Attributes:
        centre: Its middle [3], in the points' unit.
        half: Half its longest edge.
        radius: Distance of the farthest point from the middle, in units of ``half``.
        heights: Heights that colours begin and end with.
    """

    centre: np.ndarray
    half: float
    radius: float
    heights: tuple[float, float]


def pack_scene(
    points: ArrayLike,
    kind: Literal["trace", "cloud"],
    colour: ArrayLike | None = None,
    *,
    limit: int = 60_000,
    frame: Frame | None = None,
) -> tuple[dict[str, Any], list[str]]:
    """Pack a 3-D scene into few bytes for ``viewer.js``.

    Coordinates become 16-bit integers over the longest side of the bounding box: for a
    100 m scan that is 1.5 mm, below what a screen shows.

    Args:
        points: Coordinates [n, 3], any unit.
        kind: "trace" is a chain in order, "cloud" is a set.
        colour: One number in [0, 1] for each point, or None.
        limit: Most points of a cloud; beyond it a fixed random choice is shown.
        frame: Of the box that is shown and holds all points; none: that of the points.

    Returns:
        The scene (JSON-safe), and notes on what is not shown.

    Raises:
        FewstepError: ``points`` or ``colour`` has a wrong shape, or no point is finite.
    """
    array = np.asarray(points, dtype=float)
    if array.ndim != 2 or array.shape[1] != 3:
        raise FewstepError(
            "a gallery scene has wrong points",
            expected="[n, 3]",
            got=array.shape,
            do="Write three numbers for each point",
        )
    shades = None if colour is None else np.asarray(colour, dtype=float)
    if shades is not None and shades.shape != array.shape[:1]:
        raise FewstepError(
            "a gallery scene has wrong colours",
            expected=array.shape[:1],
            got=shades.shape,
            do="Write one colour for each point, or null",
        )
    notes: list[str] = []
    good = np.isfinite(array).all(axis=1)
    if not good.any():
        raise FewstepError(
            "a gallery scene has no finite point",
            got=f"{len(array)} points",
            do="Leave the scene out",
        )
    if not good.all():
        notes.append(f"{int((~good).sum())} of {len(array):,} points are n/a and not shown")
    keep = np.flatnonzero(good)
    if kind == "cloud" and keep.size > limit:
        notes.append(f"{limit:,} of {len(array):,} points shown")
        keep = np.sort(np.random.default_rng(0).choice(keep, limit, replace=False))
    chosen = array[keep]
    # A hole left by n/a points must not be bridged by the tube.
    breaks = (np.flatnonzero(np.diff(keep) > 1) + 1).tolist() if kind == "trace" else []
    centre = frame.centre if frame else (chosen.max(axis=0) + chosen.min(axis=0)) / 2
    half = frame.half if frame else float(np.abs(chosen - centre).max()) or 1.0
    packed = np.round((chosen - centre) / half * 32767).astype("<i2")
    scene: dict[str, Any] = {
        "kind": kind,
        "count": len(chosen),
        "breaks": breaks,
        "points": base64.b64encode(packed.tobytes()).decode(),
        "colour": None,
        "radius": frame and frame.radius,
    }
    if shades is not None:
        levels = np.round(np.clip(np.nan_to_num(shades[keep]), 0, 1) * 255).astype(np.uint8)
        scene["colour"] = base64.b64encode(levels.tobytes()).decode()
    return scene, notes
