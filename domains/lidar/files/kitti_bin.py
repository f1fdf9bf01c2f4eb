"""Scans without a header: rows of float32, of which KITTI's are x, y, z and intensity.

Geiger et al. 2013, https://www.cvlibs.net/datasets/kitti. Others add ring and time, or leave the
intensity out, and nothing in the file says so: the width of a row is what the user says, what
the number of labels says, or what the numbers themselves tell; in doubt the file is refused.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float32

from domains.lidar.files.row_width import WIDTHS, told_width

__all__ = ["COLUMNS", "DoubtfulWidthError", "parse", "serialize"]

COLUMNS = ("x", "y", "z", "intensity")
VALUE = 4  # bytes


class DoubtfulWidthError(ValueError):
    """More than one width of the rows fits a file, and its content doesn't tell which."""


def parse(
    data: bytes, columns: Sequence[str] | None = None, count: int | None = None, usual: int = 0
) -> Float32[np.ndarray, "n 3"]:
    """Return the points without their other columns.

    Args:
        data: The file's content.
        columns: Names of a row's numbers, x, y and z among them; None: told from the content.
        count: Number of points that something beside the file says, such as its labels.
        usual: Width of the rows where the content doesn't tell; 0 if there is no usual one.

    Raises:
        DoubtfulWidthError: Nothing tells the width of a row.
        ValueError: The file is text, or doesn't hold whole rows.
    """
    if len(data) % VALUE:
        raise ValueError(f"its {len(data)} bytes are no float32 numbers")
    if _is_text(data):
        raise ValueError("it is text, not float32")
    values = np.frombuffer(data, "<f4")
    if columns is None:
        return values.reshape(-1, _width(values, count, usual))[:, :3]
    if len(values) % len(columns):
        raise ValueError(f"its {len(data)} bytes are no rows of {len(columns)} float32 numbers")
    return values.reshape(-1, len(columns))[:, [list(columns).index(name) for name in "xyz"]]


def serialize(points: Float32[np.ndarray, "n 3"]) -> bytes:
    """Return the file's content, intensity 0."""
    return np.pad(points.astype("<f4"), ((0, 0), (0, 1))).tobytes()


def _width(values: Float32[np.ndarray, " k"], count: int | None, usual: int) -> int:
    """Return the numbers per row of a scan."""
    if count and len(values) % count == 0 and len(values) // count in WIDTHS:
        return len(values) // count
    fitting = [width for width in WIDTHS if len(values) % width == 0]
    if not np.isfinite(values).any():
        raise ValueError("none of its numbers is finite")
    told = told_width(values)
    if told is None and _is_ours(values):
        usual = len(COLUMNS)
    if not told:
        return _guessed(values, fitting, usual)
    if told not in fitting:
        raise ValueError(
            f"its content looks like rows of {told} numbers, but its {values.nbytes} bytes are no"
            f" whole rows of {told * VALUE}"
        )
    return told


def _guessed(values: Float32[np.ndarray, " k"], fitting: list[int], usual: int) -> int:
    """Return the width of rows that are too few, or too much alike, to tell it."""
    if usual in fitting:
        return usual
    if fitting == [len(COLUMNS)]:
        return len(COLUMNS)
    if not fitting:
        first, last = WIDTHS[0], WIDTHS[-1]
        raise ValueError(f"its {values.nbytes} bytes are no rows of {first} to {last} float32")
    widths = " or ".join(", ".join(map(str, fitting)).rsplit(", ", 1))
    raise DoubtfulWidthError(
        f"its {values.nbytes} bytes fit rows of {widths} float32 numbers, and their content"
        " doesn't tell which"
    )


def _is_ours(values: Float32[np.ndarray, " k"]) -> bool:
    """Tell scans as they are written here: each fourth number is 0, and most of the others not."""
    measured = values[len(COLUMNS) - 1 :: len(COLUMNS)].any()
    return bool(not measured and (len(values) <= 16 or (values != 0).mean() > 0.5))


def _is_text(data: bytes) -> bool:
    """Tell text, whose digits would pass for tiny coordinates; float32 hardly ever decodes."""
    try:
        return "".join(data.decode().split()).isprintable()
    except UnicodeDecodeError:
        return False
