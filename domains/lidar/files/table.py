"""Coordinates out of a table of named columns, the common ground of PLY and PCD.

Every size is held against the bytes that are there before anything is allocated, so a header
may promise what it likes. What doesn't fit is a ValueError.
"""

from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Shaped

__all__ = [
    "Column",
    "check_length",
    "header_count",
    "points_of_columns",
    "points_of_rows",
    "points_of_text",
    "row_size",
    "text_rows",
]

# No file holds more than 10^18 of anything.
DIGITS = 18


class Column(NamedTuple):
    """A named quantity of each row.

    Attributes:
        name: Such as ``x``.
        dtype: Of one value.
        values: Number of values in each row.
    """

    name: str
    dtype: np.dtype
    values: int = 1

    @property
    def size(self) -> int:
        """Bytes in a row."""
        return self.values * self.dtype.itemsize


def header_count(word: str) -> int:
    """Return a count that a header states.

    Raises:
        ValueError: It is no whole number, or is negative.
    """
    if not word.isdecimal() or len(word) > DIGITS:
        raise ValueError(f"its header has {word[:30]!r} where a count belongs")
    return int(word)


def row_size(columns: Sequence[Column]) -> int:
    """Return the bytes of a row."""
    return sum(column.size for column in columns)


def points_of_rows(body: bytes, columns: Sequence[Column], count: int) -> Float[np.ndarray, "n 3"]:
    """Return the points of a body that is stored row by row.

    Raises:
        ValueError: A coordinate is missing.
    """
    starts, row = _starts(columns), row_size(columns)
    return _stacked(
        np.ndarray((count,), columns[i].dtype, body, starts[i], (row,)) for i in _xyz(columns)
    )


def points_of_columns(
    body: bytes, columns: Sequence[Column], count: int
) -> Float[np.ndarray, "n 3"]:
    """Return the points of a body that is stored column by column.

    Raises:
        ValueError: A coordinate is missing.
    """
    starts = _starts(columns)
    return _stacked(
        np.ndarray((count,), columns[i].dtype, body, count * starts[i]) for i in _xyz(columns)
    )


def text_rows(body: bytes, count: int) -> list[bytes]:
    """Return the lines of a body, without blank ones; the last one need not end.

    Raises:
        ValueError: They are not ``count``.
    """
    lines = [line for line in body.splitlines(keepends=True) if line.strip()]
    if len(lines) != count:
        raise ValueError(f"its header promises {count} lines, but {len(lines)} follow")
    return lines


def points_of_text(lines: list[bytes], columns: Sequence[Column]) -> Float[np.ndarray, "n 3"]:
    """Return the points of lines of numbers.

    Where the last line doesn't end and its last number, a coordinate, may have been cut off, that
    is NaN.

    Raises:
        ValueError: A coordinate is missing, or a line doesn't have one number for each value.
    """
    places, width = _xyz(columns), sum(column.values for column in columns)
    table = np.loadtxt(lines, ndmin=2, comments=None)
    if table.shape != (len(lines), width):
        raise ValueError(f"its lines have {table.shape[1]} numbers, its header promises {width}")
    first = list(accumulate((column.values for column in columns), initial=0))
    if not lines[-1].endswith((b"\n", b"\r")) and not _is_whole(lines):
        table[-1, -1] = np.nan
    return table[:, [first[i] for i in places]]


def check_length(body: bytes, size: int, row: int) -> None:
    """Hold a binary body against the ``size`` that its header promises.

    Some programs end it as a text, or fill it up: less than a row of blanks or zeros, or one byte,
    hides no point. But a body that was copied as text is longer for other reasons.

    Raises:
        ValueError: The body is shorter, longer by more, or was copied as text.
    """
    more = body[size:]
    filled = len(more) < row and not more.strip(b"\0 \t\r\n")
    if len(body) < size or not (len(more) <= 1 or filled):
        raise ValueError(f"its header promises {size} bytes, but {len(body)} follow")
    ends = body.count(b"\n", 0, size)
    if more and ends and ends == body.count(b"\r\n", 0, size):
        raise ValueError("it was copied as text, which adds bytes")


def _is_whole(lines: list[bytes]) -> bool:
    """Tell whether the last number of the last line is as long as those above it can be."""
    *others, last = (line.split()[-1] for line in lines)
    decimals = {_decimals(other) for other in others}
    if decimals == {-1}:  # whole numbers
        return {len(other.lstrip(b"-")) for other in others} == {len(last.lstrip(b"-"))}
    if len(decimals) == 1:
        return decimals == {_decimals(last)}
    return bool(others) and _digits(last) >= max(map(_digits, others))


def _decimals(number: bytes) -> int:
    """Count the digits after the point; -1 without a point."""
    _, point, rest = number.lower().partition(b".")
    return len(rest.partition(b"e")[0]) if point else -1


def _digits(number: bytes) -> int:
    """Count the significant digits of a number, those of its exponent too."""
    return len(number.lower().translate(None, b"+-.e").lstrip(b"0"))


def _xyz(columns: Sequence[Column]) -> list[int]:
    """Return the places of the three coordinates."""
    found = [[i for i, column in enumerate(columns) if column.name == name] for name in "xyz"]
    if any(len(places) != 1 or columns[places[0]].values != 1 for places in found):
        names = " ".join(column.name for column in columns)
        raise ValueError(f"its points have no single x, y and z, but {names[:60]!r}")
    return [place for (place,) in found]


def _starts(columns: Sequence[Column]) -> list[int]:
    """Return the bytes before each column of a row."""
    return list(accumulate((column.size for column in columns), initial=0))


def _stacked(coordinates: Iterable[Shaped[np.ndarray, " n"]]) -> Float[np.ndarray, "n 3"]:
    return np.stack([values.astype(np.float64) for values in coordinates], axis=1)
