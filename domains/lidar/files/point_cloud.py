"""Read and write a point cloud in the format that the file's suffix names.

Own parsers, because open3d 0.20 answers a PLY file that was cut off with uninitialised memory,
and an ASCII file cut within a number with that number's first digits.
"""

import logging
import stat
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Float32

from domains.errors import FewstepError
from domains.files.provenance import atomic_path
from domains.lidar.files import kitti_bin, pcd, ply

__all__ = ["Scan", "read_points", "read_scan", "read_whole", "write_points"]

_log = logging.getLogger(__name__)

# Far beyond any sensor; at this distance float32 still resolves 8 mm.
FARTHEST = 1e5
NUSCENES = 5  # columns of its ``.pcd.bin``: x, y, z, intensity, ring


class Scan(NamedTuple):
    """The usable points of a file.

    Attributes:
        points: Finite, in the file's order, metre.
        kept: Which of the file's points they are; labels belong to all of these.
    """

    points: Float32[np.ndarray, "n 3"]
    kept: Bool[np.ndarray, " m"]

    @property
    def dropped(self) -> int:
        """Number of points that are not finite."""
        return len(self.kept) - len(self.points)

    @property
    def loss(self) -> str:
        """A note on the points that are not finite."""
        return f"{self.dropped} of {len(self.kept)} points are not finite and left out"


class _Format(NamedTuple):
    """A pair of inverses; ``parse`` raises a ValueError that says what is wrong."""

    parse: Callable[[bytes], Float[np.ndarray, "n 3"]]
    serialize: Callable[[Float32[np.ndarray, "n 3"]], bytes]


_FORMATS = {
    ".ply": _Format(ply.parse, ply.serialize),
    ".pcd": _Format(pcd.parse, pcd.serialize),
    ".bin": _Format(kitti_bin.parse, kitti_bin.serialize),
}


def read_points(path: Path, columns: Sequence[str] | None = None) -> Float32[np.ndarray, "n 3"]:
    """Return the points of a file; whatever else it holds is ignored.

    Points that are not finite, as where a sensor got nothing back, are left out, with a warning
    that counts them.

    Args:
        path: A ``.ply`` or ``.pcd`` file in any encoding, or a headerless ``.bin`` file.
        columns: Names of a row's numbers in a ``.bin`` file; None: told from its content.

    Returns:
        At least one point, metre.

    Raises:
        FewstepError: The file can't be read, is damaged, or its points are not usable.
    """
    scan = read_scan(path, columns)
    if scan.dropped:
        _log.warning("%s: %s", path, scan.loss)
    return scan.points


def read_scan(
    path: Path, columns: Sequence[str] | None = None, count: int | None = None, usual: int = 0
) -> Scan:
    """Return the usable points of a file and which of its points they are.

    Args:
        path: See ``read_points``.
        columns: See ``read_points``.
        count: Number of a ``.bin`` file's points as something beside it says, such as labels.
        usual: Width of its rows where nothing tells; nuScenes' ``.pcd.bin`` have 5 columns.

    Raises:
        FewstepError: The file can't be read, is damaged, or holds no usable point.
    """
    points = _parsed(path, columns, count, usual)
    finite = np.asarray(np.isfinite(points).all(1))
    kept = points[finite]
    if not len(kept):
        got = f"{len(points)} points that are not finite" if len(points) else 0
        raise FewstepError(f"no points in {path}", expected="at least one", got=got)
    _check_near(path, kept)
    return Scan(kept.astype(np.float32), finite)


def read_whole(path: Path) -> Float32[np.ndarray, "n 3"]:
    """Return the points of a file that ``write_points`` has written, all of them finite.

    Raises:
        FewstepError: The file can't be read, is damaged, or a point is not usable.
    """
    points = _parsed(path, kitti_bin.COLUMNS, None, 0)
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
        if stat.S_ISFIFO(path.stat().st_mode):  # which would be waited for
            raise FewstepError(f"can't read {path}", expected="a file", got="a FIFO")
        content = path.read_bytes()
    except OSError as error:
        raise FewstepError(f"can't read {path}", got=error.strerror) from error
    if not content:
        raise ValueError("it is empty")
    return content


def _parsed(
    path: Path, columns: Sequence[str] | None, count: int | None, usual: int
) -> Float[np.ndarray, "n 3"]:
    """Return the points as they are stored."""
    parse = _format(path).parse
    if parse is kitti_bin.parse:
        usual = NUSCENES if path.name.lower().endswith(".pcd.bin") else usual
        parse = partial(kitti_bin.parse, columns=columns, count=count, usual=usual)
    try:
        # A number that no float can hold is refused below; numpy need not warn of it too.
        with np.errstate(all="ignore"):
            return parse(_read(path))
    except ValueError as error:
        doubtful = isinstance(error, kitti_bin.DoubtfulWidthError)
        do = "Name a row's numbers in data.columns" if doubtful else "Copy or export it again"
        raise FewstepError(f"{path} is no scan that can be read: {error}", do=do) from error


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
    _check_near(path, points)


def _check_near(path: Path, points: Float[np.ndarray, "n 3"]) -> None:
    far = np.abs(points).max(1) > FARTHEST
    if far.any():
        raise FewstepError(
            f"some points of {path} lie too far away",
            expected=f"coordinates up to {FARTHEST:g} m",
            got=f"{far.sum()} points of {len(points)} beyond, up to {np.abs(points).max():g}",
            do="Give metres from an origin near the sensor",
        )
