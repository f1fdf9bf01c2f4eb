"""The polygon file format (Turk 1994, https://paulbourke.net/dataformats/ply): its vertices."""

from itertools import takewhile
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Float32, UInt8

from domains.lidar.files.table import (
    Column,
    check_length,
    header_count,
    points_of_rows,
    points_of_text,
    row_size,
    text_rows,
)

__all__ = ["parse", "serialize"]

MOST_LINES = 1000  # of a header; real ones have dozens
BYTE_ORDERS = {"ascii": "=", "binary_little_endian": "<", "binary_big_endian": ">"}
TYPES = {
    **{"char": "i1", "short": "i2", "int": "i4", "int8": "i1", "int16": "i2", "int32": "i4"},
    **{"uchar": "u1", "ushort": "u2", "uint": "u4", "uint8": "u1", "uint16": "u2", "uint32": "u4"},
    **{"float": "f4", "double": "f8", "float32": "f4", "float64": "f8"},
}


class _Element(NamedTuple):
    """A table of the file.

    Attributes:
        name: ``vertex`` for the points.
        count: Its rows.
        columns: One for each property.
        has_list: Whether the length of a row varies; then ``columns`` lacks the lists.
    """

    name: str
    count: int
    columns: tuple[Column, ...]
    has_list: bool


def parse(data: bytes) -> Float[np.ndarray, "n 3"]:
    """Return the vertices in any of the three encodings.

    Raises:
        ValueError: The header or the body is damaged or holds no fixed x, y and z.
    """
    encoding, elements, body = _parse_header(data)
    before = list(takewhile(lambda element: element.name != "vertex", elements))
    if len(before) == len(elements):
        raise ValueError("its header has no 'element vertex'")
    vertex = elements[len(before)]
    if vertex.has_list:
        raise ValueError("its points hold lists")
    if not vertex.count:
        raise ValueError("its header promises no points")
    if encoding == "ascii":
        lines = text_rows(body, sum(element.count for element in elements))
        first = sum(element.count for element in before)
        return points_of_text(lines[first : first + vertex.count], vertex.columns)
    _check_size(body, elements)
    return points_of_rows(body[_size(before) :], vertex.columns, vertex.count)


def serialize(points: Float32[np.ndarray, "n 3"]) -> bytes:
    """Return the file's content, binary and little endian."""
    lines = [
        "ply",
        "format binary_little_endian 1.0",
        "comment fewstep, metre",
        f"element vertex {len(points)}",
        *(f"property float {name}" for name in "xyz"),
        "end_header\n",
    ]
    return "\n".join(lines).encode() + points.astype("<f4").tobytes()


def serialize_marked(
    points: Float32[np.ndarray, "n 3"],
    colours: UInt8[np.ndarray, "n 3"],
    scanned: Bool[np.ndarray, " n"],
) -> bytes:
    """Return the content with a colour for each point, and the property ``scanned``: 1 or 0."""
    kinds = [(name, "<f4") for name in "xyz"]
    kinds += [(name, "u1") for name in ("red", "green", "blue", "scanned")]
    rows = np.empty(len(points), dtype=kinds)
    for columns, values in (("xyz", points), (("red", "green", "blue"), colours)):
        for name, column in zip(columns, values.T, strict=True):
            rows[name] = column
    rows["scanned"] = scanned
    lines = [
        "ply",
        "format binary_little_endian 1.0",
        "comment fewstep, metre; scanned 1: a point of the scan, 0: a completed one",
        f"element vertex {len(points)}",
        *(f"property {'float' if kind == '<f4' else 'uchar'} {name}" for name, kind in kinds),
        "end_header\n",
    ]
    return "\n".join(lines).encode() + rows.tobytes()


def _parse_header(data: bytes) -> tuple[str, list[_Element], bytes]:
    """Return the encoding, the elements and what follows the header."""
    head, _, rest = data.partition(b"\nend_header")
    blank, newline, body = rest.partition(b"\n")
    magic, *lines = (line.split() for line in head.decode("latin-1").split("\n"))
    if len(lines) > MOST_LINES:
        raise ValueError(f"its header has {len(lines)} lines")
    if magic != ["ply"]:
        raise ValueError("it doesn't begin with 'ply'")
    if blank.strip() or not newline:
        raise ValueError("its header has no end")
    encoding, elements = "", []
    for words in lines:
        match words:
            case [] | ["comment" | "obj_info", *_]:
                continue
            case ["format", word, "1.0"] if word in BYTE_ORDERS and not encoding:
                encoding = word
            case ["element", name, count]:
                elements.append(_Element(name, header_count(count), (), False))
            case ["property", *kind, name] if elements and encoding:
                elements[-1] = _extended(elements[-1], kind, name, BYTE_ORDERS[encoding])
            case _:
                raise ValueError(f"its header has the line {' '.join(words)[:60]!r}")
    return encoding, elements, body


def _extended(element: _Element, kind: list[str], name: str, byte_order: str) -> _Element:
    """Return the element with one more property."""
    match kind:
        case ["list", _, _]:
            return element._replace(has_list=True)
        case [word] if word in TYPES:
            column = Column(name, np.dtype(byte_order + TYPES[word]))
            return element._replace(columns=(*element.columns, column))
    raise ValueError(f"its property {name[:30]!r} is of no type of PLY: {' '.join(kind)[:30]!r}")


def _size(elements: list[_Element]) -> int:
    return sum(element.count * row_size(element.columns) for element in elements)


def _check_size(body: bytes, elements: list[_Element]) -> None:
    """Hold a binary body against the promise; the length of lists, such as faces, is unknown."""
    fixed = list(takewhile(lambda element: not element.has_list, elements))
    if all(element.name != "vertex" for element in fixed):
        raise ValueError("it has lists before its points")
    size = _size(fixed)
    if len(fixed) == len(elements):
        check_length(body, size, row_size(fixed[-1].columns))
    elif len(body) < size:
        raise ValueError(f"its header promises {size} bytes, but {len(body)} follow")
