"""The Point Cloud Data format 0.7 (https://pointclouds.org, "The PCD file format")."""

import struct

import numpy as np
from jaxtyping import Float, Float32

from domains.lidar.files.lzf import decompress
from domains.lidar.files.table import (
    Column,
    check_length,
    header_count,
    points_of_columns,
    points_of_rows,
    points_of_text,
    row_size,
    text_rows,
)

__all__ = ["parse", "serialize"]

TYPES = {"F4", "F8", "I1", "I2", "I4", "I8", "U1", "U2", "U4", "U8"}


def parse(data: bytes) -> Float[np.ndarray, "n 3"]:
    """Return the points as they are stored; the viewpoint is not applied.

    Raises:
        ValueError: The header or the body is damaged or holds no x, y and z.
    """
    entries, encoding, body = _parse_header(data)
    columns, count = _columns(entries), _count(entries)
    if not count:
        raise ValueError("its header promises no points")
    size = count * row_size(columns)
    match encoding:
        case "ascii":
            return points_of_text(text_rows(body, count), columns)
        case "binary":
            check_length(body, size, row_size(columns))
            return points_of_rows(body, columns, count)
        case "binary_compressed":
            return points_of_columns(_decompressed(body, size), columns, count)
    raise ValueError(f"its DATA are {encoding[:30]!r}")


def serialize(points: Float32[np.ndarray, "n 3"]) -> bytes:
    """Return the file's content, binary."""
    header = f"""# .PCD v0.7 - Point Cloud Data file format
VERSION 0.7
FIELDS x y z
SIZE 4 4 4
TYPE F F F
COUNT 1 1 1
WIDTH {len(points)}
HEIGHT 1
VIEWPOINT 0 0 0 1 0 0 0
POINTS {len(points)}
DATA binary
"""
    return header.encode() + points.astype("<f4").tobytes()


def _parse_header(data: bytes) -> tuple[dict[str, list[str]], str, bytes]:
    """Return the entries by name, the encoding and what follows the header."""
    head, _, rest = data.partition(b"\nDATA ")
    encoding, newline, body = rest.partition(b"\n")
    if not newline:
        raise ValueError("its header has no line 'DATA'")
    lines = (line.split() for line in head.decode("latin-1").split("\n"))
    return (
        {words[0]: words[1:] for words in lines if words},
        encoding.decode("latin-1").strip(),
        body,
    )


def _values(entries: dict[str, list[str]], name: str, count: int) -> list[str]:
    """Return the words of an entry, which must be ``count``."""
    words = entries.get(name, [])
    if len(words) != count:
        raise ValueError(f"its header has {len(words)} values of {name} where {count} belong")
    return words


def _columns(entries: dict[str, list[str]]) -> list[Column]:
    names = entries.get("FIELDS", [])
    kinds, sizes = _values(entries, "TYPE", len(names)), _values(entries, "SIZE", len(names))
    types = [kind + size for kind, size in zip(kinds, sizes, strict=True)]
    if not TYPES.issuperset(types):
        raise ValueError(f"its header has unknown types: {' '.join(types)[:60]!r}")
    # The format lets COUNT out where every field has one value.
    counts = _values(entries, "COUNT", len(names)) if "COUNT" in entries else ["1"] * len(names)
    return [
        Column(name, np.dtype(f"<{kind.lower()}"), header_count(values))
        for name, kind, values in zip(names, types, counts, strict=True)
    ]


def _count(entries: dict[str, list[str]]) -> int:
    width, height, points = (
        header_count(*_values(entries, name, 1)) for name in ("WIDTH", "HEIGHT", "POINTS")
    )
    if width * height != points:
        raise ValueError(f"its header promises {points} points in {height} rows of {width}")
    return points


def _decompressed(body: bytes, size: int) -> bytes:
    """Return the columns, after checking both sizes that precede them."""
    if len(body) < 8:
        raise ValueError("its compressed data have no beginning")
    packed, unpacked = struct.unpack("<II", body[:8])
    data, more = body[8 : 8 + packed], body[8 + packed :]
    # Some programs end a file as a text.
    if len(data) < packed or len(more) > 1 or unpacked != size:
        raise ValueError(
            f"its header promises {packed} bytes that stand for {size}, "
            f"but {len(body) - 8} for {unpacked} follow"
        )
    return decompress(data, size)
