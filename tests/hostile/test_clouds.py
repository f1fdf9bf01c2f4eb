"""Contract: a point cloud is read right or refused in one line, whatever its header says.

A case is: what is wrong → suffix → content → words of the line; and below, what is unusual but
right → suffix → content → points. Every encoding against every damage is in
``lidar/files/test_point_cloud.py``.
"""

import struct
from pathlib import Path

import numpy as np
import pytest
from hostile.readers import attempt
from lidar.files.test_point_cloud import POINTS, VALID, as_lzf, as_scan, as_text, pcd, ply

from domains.lidar.files import read_points

SINGLE = POINTS.astype("<f4").tobytes()
NAN = (POINTS * np.nan).tobytes()


def with_value(value: float) -> np.ndarray:
    points = POINTS.astype(np.float64)
    points[3, 1] = value
    return points


def body(value: float) -> bytes:
    return with_value(value).astype("<f4").tobytes()


def swapped(name: str, old: bytes, new: bytes) -> bytes:
    """A valid file with a word of its header changed."""
    assert old in VALID[name]
    return VALID[name].replace(old, new, 1)


def lzf(packed: bytes, size: int) -> bytes:
    return pcd("binary_compressed", struct.pack("<II", len(packed), size) + packed)


LITTLE, LISTS = "binary_little_endian", "property list uchar float z\n"
REFUSED: dict[str, tuple[str, bytes, str]] = {
    "scan: empty": ("bin", b"", "empty"),
    "scan: one byte short": ("bin", as_scan(POINTS)[:-1], "no float32 numbers"),
    "scan: one byte long": ("bin", as_scan(POINTS) + b"\0", "no float32 numbers"),
    "scan: a number short": ("bin", as_scan(POINTS)[:-4], "fit rows of 3 float32"),
    "scan: rows of three, too few to tell": ("bin", SINGLE, "fit rows of 3 or 7 float32"),
    "scan: one number": ("bin", SINGLE[:4], "no rows of 3 to 8"),
    "scan: numbers of 8 bytes": (
        "bin", np.pad(POINTS, ((0, 0), (0, 1))).astype("<f8").tobytes(), "a.bin"),
    "scan: NaN": ("bin", as_scan(POINTS * np.nan)[:-4], "a.bin"),
    "scan: infinity": ("bin", (POINTS - np.inf).tobytes(), "none of its numbers is finite"),
    "scan: signalling NaN": ("bin", b"\x01\0\xa0\x7f" * 4, "none of its numbers is finite"),
    "PLY: signalling NaN": ("ply", ply(LITTLE, b"\x01\0\xa0\x7f" * 21), "7 points that are not"),
    "scan: 10^9 m": ("bin", as_scan(with_value(1e9)), "up to 1e+09"),
    "scan: text": ("bin", b"1.0 2.0 3.0 0.5\n" * 4, "it is text"),
    "scan: a web page": ("bin", b"<html><body>404 not found</body></html>".ljust(48), "it is text"),
    "scan: a picture": ("bin", b"\x89PNG\r\n\x1a\n" + bytes(range(248, 256)) * 3, "a.bin"),
    "PLY: empty": ("ply", b"", "empty"),
    "PLY: a header without end": ("ply", VALID["little.ply"][:60], "no end"),
    "PLY: no points": ("ply", ply(LITTLE, b"", 0), "promises no points"),
    "PLY: a negative count": ("ply", ply(LITTLE, SINGLE, -7), "'-7' where a count"),
    "PLY: a count of 10^18": ("ply", ply(LITTLE, SINGLE, 10**18 - 1), "its header promises"),
    "PLY: a count of a hundred digits": ("ply", ply(LITTLE, SINGLE, 10**99), "where a count"),
    "PLY: a count in Arabic digits": (
        "ply", swapped("little.ply", b"vertex 7", "vertex \u0667".encode()), "where a count"),
    "PLY: more points than promised": ("ply", ply(LITTLE, SINGLE, 6), "promises 72 bytes"),
    "PLY: fewer points than promised": ("ply", ply(LITTLE, SINGLE, 8), "promises 96 bytes"),
    "PLY: NaN": ("ply", ply(LITTLE, NAN), "7 points that are not"),
    "PLY: NaN in text": ("ply", ply("ascii", b"nan nan nan\n" * 7), "7 points that are not"),
    "PLY: 10^9 m": ("ply", ply(LITTLE, body(1e9)), "up to 1e+09"),
    "PLY: 10^300 m in text": ("ply", ply("ascii", as_text(with_value(1e300))), "up to 1e+300"),
    "PLY: a coordinate that is a list": (
        "ply", swapped("little.ply", b"property float z\n", LISTS.encode()), "hold lists"),
    "PLY: a list among the coordinates": (
        "ply", ply(LITTLE, SINGLE, more="property list uchar int a\n"), "hold lists"),
    "PLY: lists before the points": (
        "ply",
        swapped("little.ply", b"element vertex",
                b"element a 1\nproperty list uchar int b\nelement vertex"),
        "lists before its points"),
    "PLY: x twice": ("ply", swapped("little.ply", b"float y", b"float x"), "no single x, y"),
    "PLY: no z": ("ply", swapped("little.ply", b"float z", b"float w"), "no single x, y"),
    "PLY: an unknown type": ("ply", swapped("little.ply", b"float z", b"quad z"), "no type of PLY"),
    "PLY: an unknown encoding": (
        "ply", swapped("little.ply", LITTLE.encode(), b"morse"), "has the line"),
    "PLY: two encodings": (
        "ply", swapped("little.ply", b"format", b"format ascii 1.0\nformat"), "has the line"),
    "PLY: a thousand properties": (
        "ply",
        b"ply\nformat ascii 1.0\nelement vertex 1\n" + b"property float x\n" * 1000
        + b"end_header\n", "header has 1002 lines"),
    "PLY: no numbers": ("ply", ply("ascii", b"x y z\n" * 7), "could not convert"),
    "PLY: hexadecimal numbers": ("ply", ply("ascii", b"0x1 0x1 0x1\n" * 7), "could not convert"),
    "PCD: empty": ("pcd", b"", "empty"),
    "PCD: only a comment": ("pcd", b"# .PCD v0.7\n", "no line 'DATA'"),
    "PCD: no points": ("pcd", pcd("binary", b"", 0), "promises no points"),
    "PCD: a count of 10^17": ("pcd", pcd("binary", SINGLE, 10**17), "its header promises"),
    "PCD: a product that is not the count": (
        "pcd", swapped("binary.pcd", b"HEIGHT 1", b"HEIGHT 3"), "7 points in 3 rows of 7"),
    "PCD: values of 10^18 bytes": (
        "pcd", swapped("binary.pcd", b"WIDTH", b"COUNT 1 1 99999999999999999\nWIDTH"), "a.pcd"),
    "PCD: an unknown type": ("pcd", swapped("binary.pcd", b"TYPE F F F", b"TYPE Q F F"), "types"),
    "PCD: more sizes than fields": (
        "pcd", swapped("binary.pcd", b"SIZE 4 4 4", b"SIZE 4 4 4 4"), "4 values of SIZE"),
    "PCD: NaN": ("pcd", pcd("binary", NAN), "7 points that are not"),
    "PCD: NaN, compressed": (
        "pcd", pcd("binary_compressed", as_lzf(POINTS * np.nan)), "7 points that are not"),
    "PCD: 10^9 m": ("pcd", pcd("binary", body(1e9)), "up to 1e+09"),
    "PCD: a body cut off": ("pcd", VALID["binary.pcd"][:-1], "promises 84 bytes, but 83"),
    "PCD: an unknown encoding": ("pcd", pcd("zip", SINGLE), "DATA are 'zip'"),
    "PCD, compressed: no sizes": ("pcd", pcd("binary_compressed", b"\0\0"), "no beginning"),
    "PCD, compressed: a bomb of 4 GB": (
        "pcd", lzf(b"\0a" + b"\xe0\xff\0" * 1000, 2**32 - 1), "its header promises"),
    "PCD, compressed: a bomb of the promised size": (
        "pcd", lzf(b"\0a" + b"\xe0\xff\0" * 1000, 84), "don't stand for 84"),
    "PCD, compressed: a copy from before": ("pcd", lzf(b"\x20\xff", 84), "before their beginning"),
    "PCD, compressed: a copy cut off": ("pcd", lzf(b"\0a\xe0", 84), "end within a copy"),
    "PCD, compressed: too little": ("pcd", lzf(b"\0a", 84), "don't stand for 84"),
    "PCD, compressed: another length": (
        "pcd", pcd("binary_compressed", struct.pack("<II", 99, 84) + b"\0a"), "promises 99 bytes"),
    "PCD, as text: too few numbers": ("pcd", pcd("ascii", b"1 2\n" * 7), "have 2 numbers"),
}  # fmt: skip


@pytest.mark.parametrize(("kind", "content", "words"), REFUSED.values(), ids=REFUSED)
def test_refused(tmp_path: Path, kind: str, content: bytes, words: str) -> None:
    line = attempt(kind, content, tmp_path)
    assert line and words in line, line


ONE = np.array([[1.0, -2.0, 3.0]], np.float32)
FAR = np.full((1, 3), 1e5, np.float32)
READ: dict[str, tuple[str, bytes, np.ndarray]] = {
    "a scan of one point": ("bin", as_scan(ONE), ONE),
    "a PLY of one point": ("ply", ply(LITTLE, ONE.tobytes(), 1), ONE),
    "a PCD of one point": ("pcd", pcd("ascii", as_text(ONE), 1), ONE),
    "100 km": ("bin", as_scan(FAR), FAR),
    "a PCD of which one point is finite": ("pcd", pcd("ascii", b"1 -2 3\nnan nan nan\n", 2), ONE),
    "a scan of which one point is finite": (
        "bin",
        np.array([[1, -2, 3, 0], [np.nan] * 3 + [0]], "<f4").tobytes(),
        ONE,
    ),
    "a PLY that ends as a text": ("ply", ply(LITTLE, ONE.tobytes() + b"\n", 1), ONE),
    "a point many times": ("bin", as_scan(np.repeat(ONE, 9, 0)), np.repeat(ONE, 9, 0)),
    "zeros": ("bin", bytes(32), np.zeros((2, 3), np.float32)),
}


@pytest.mark.parametrize(("kind", "content", "expected"), READ.values(), ids=READ)
def test_read(tmp_path: Path, kind: str, content: bytes, expected: np.ndarray) -> None:
    (tmp_path / f"a.{kind}").write_bytes(content)
    np.testing.assert_array_equal(read_points(tmp_path / f"a.{kind}"), expected)
