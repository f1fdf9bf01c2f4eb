"""Read and write a point cloud in the format that the file's suffix names.

Own parsers, because open3d 0.20 answers a PLY file that was cut off with uninitialised memory,
and an ASCII file cut within a number with that number's first digits.
"""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Float32

from domains.errors import FewstepError
from domains.files.provenance import atomic_path
from domains.lidar.files import kitti_bin, pcd, ply

__all__ = ["read_points", "write_points"]

# Far beyond any sensor; at this distance float32 still resolves 8 mm.
FARTHEST = 1e5


class _Format(NamedTuple):
    """A pair of inverses; ``parse`` raises a ValueError that says what is wrong."""

    parse: Callable[[bytes], Float[np.ndarray, "n 3"]]
    serialize: Callable[[Float32[np.ndarray, "n 3"]], bytes]


_FORMATS = {
    ".ply": _Format(ply.parse, ply.serialize),
    ".pcd": _Format(pcd.parse, pcd.serialize),
    ".bin": _Format(kitti_bin.parse, kitti_bin.serialize),
}


def read_points(path: Path) -> Float32[np.ndarray, "n 3"]:
    """Return the points of a file; whatever else it holds is ignored.

    Args:
        path: A ``.ply`` or ``.pcd`` file in any encoding, or a KITTI ``.bin`` file.

    Returns:
        At least one point, metre.

    Raises:
        FewstepError: The file can't be read, is damaged, or its points are not usable.
    """
    parse = _format(path).parse
    try:
        # A number that no float can hold is refused below; numpy need not warn of it too.
        with np.errstate(all="ignore"):
            points = parse(_read(path))
    except ValueError as error:
        raise FewstepError(
            f"{path} is no scan that can be read: {error}", do="Copy or export it again"
        ) from error
    _check(path, points)
    return points.astype(np.float32)


def write_points(path: Path, points: Float32[np.ndarray, "n 3"]) -> None:
    """Write points atomically: ``.ply`` and ``.pcd`` in binary, ``.bin`` with intensity 0.

    Args:
        path: The suffix names the format; parent directories are made.
        points: At least one, metre.

    Raises:
        FewstepError: The points could not be read again, or the file can't be written.
    """
    serialize = _format(path).serialize
    _check(path, points)
    with atomic_path(path) as temporary:
        temporary.write_bytes(serialize(points))


def _format(path: Path) -> _Format:
    try:
        return _FORMATS[path.suffix.lower()]
    except KeyError:
        raise FewstepError(
            f"{path} has no suffix of a point cloud",
            expected=", ".join(_FORMATS),
            got=repr(path.suffix),
        ) from None


def _read(path: Path) -> bytes:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise FewstepError(f"can't read {path}", got=error.strerror) from error
    if not content:
        raise ValueError("it is empty")
    return content


def _check(path: Path, points: Float[np.ndarray, "n 3"]) -> None:
    if not len(points):
        raise FewstepError(f"no points in {path}", expected="at least one", got=0)
    finite = np.isfinite(points).all(1)
    if not finite.all():
        raise FewstepError(
            f"some points of {path} are not finite",
            got=f"{(~finite).sum()} broken points of {len(points)}",
            do="Remove them",
        )
    far = np.abs(points).max(1) > FARTHEST
    if far.any():
        raise FewstepError(
            f"some points of {path} lie too far away",
            expected=f"coordinates up to {FARTHEST:g} m",
            got=f"{far.sum()} points of {len(points)} beyond, up to {np.abs(points).max():g}",
            do="Give metres from an origin near the sensor",
        )
