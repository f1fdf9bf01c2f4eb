"""Contract: fields are found by the header's names, types and counts, or the header is refused."""

import struct

import numpy as np
import pytest

from domains.lidar.files.pcd import parse

ROWS = np.array(
    [((1, 2), 3.0, 1.0, 0, 2.0), ((3, 4), 6.0, 4.0, 0, 5.0)],
    dtype=[("ring", "<u2", 2), ("z", "<f8"), ("x", "<f4"), ("_", "u1"), ("y", "<i8")],
)
HEADER = """# .PCD v.7
# DATA of a café
VERSION .7
FIELDS ring z x _ y
SIZE 2 8 4 1 8
TYPE U F F U I
COUNT 2 1 1 1 1
WIDTH 1
HEIGHT 2
VIEWPOINT 5 0 0 1 0 0 0
POINTS 2
DATA {}
"""
XYZ = [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]
TEXT = HEADER.format("ascii") + "1 2 3 1 0 2\n3 4 6 4 0 5\n"


def test_fields_of_any_type_count_and_order() -> None:
    np.testing.assert_array_equal(parse(TEXT.encode()), XYZ)
    np.testing.assert_array_equal(parse(TEXT.replace("\n", "\r\n").encode()), XYZ)
    binary = HEADER.format("binary").encode() + ROWS.tobytes()
    np.testing.assert_array_equal(parse(binary), XYZ)


def compressed(packed: bytes, size: int) -> bytes:
    header = HEADER.format("binary_compressed").encode()
    return header + struct.pack("<II", len(packed), size) + packed


def by_column() -> bytes:
    return b"".join(ROWS[name].tobytes() for name in ROWS.dtype.names or ())


def test_compressed_data_are_stored_by_column() -> None:
    raw = by_column()
    packed = bytes([31]) + raw[:32] + bytes([len(raw) - 33]) + raw[32:]
    np.testing.assert_array_equal(parse(compressed(packed, len(raw))), XYZ)


def test_compressed_data_of_another_size_are_refused() -> None:
    raw = by_column()
    packed = bytes([31]) + raw[:32]
    for data in (compressed(packed, len(raw)), compressed(packed, 32), compressed(packed, 10**9)):
        with pytest.raises(
            ValueError, match=r"don't stand for 50|promises 33 bytes that stand for 50"
        ):
            parse(data)
    with pytest.raises(ValueError, match="no beginning"):
        parse(HEADER.format("binary_compressed").encode() + b"\0\0\0")


def test_a_missing_count_is_one() -> None:
    text = "FIELDS x y z\nSIZE 4 4 4\nTYPE F F F\nWIDTH 1\nHEIGHT 1\nPOINTS 1\nDATA ascii\n1 2 3\n"
    np.testing.assert_array_equal(parse(text.encode()), [[1.0, 2.0, 3.0]])


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("\nDATA ", "\nDATUM ", "no line 'DATA'"),
        ("DATA ascii", "DATA zip", "DATA are 'zip'"),
        ("FIELDS", "COLUMNS", "5 values of TYPE where 0 belong"),
        ("SIZE 2 8", "SIZE 8", "4 values of SIZE where 5 belong"),
        ("COUNT 2 1", "COUNT 2", "4 values of COUNT where 5 belong"),
        ("COUNT 2", "COUNT -2", "'-2' where a count belongs"),
        ("COUNT 2 1", "COUNT 1 2", "no single x, y and z"),
        ("SIZE 2 8", "SIZE 2 3", "unknown types: 'U2 F3"),
        ("TYPE U", "TYPE Q", "unknown types: 'Q2"),
        ("_ y", "_ x", "no single x, y and z"),
        ("WIDTH 1\n", "", "0 values of WIDTH where 1 belong"),
        ("HEIGHT 2", "HEIGHT 3", "promises 2 points in 3 rows of 1"),
        ("POINTS 2", "POINTS 2.0", "'2.0' where a count belongs"),
        ("3 4 6 4 0 5", "3 4 6 4 0", "number of columns"),
        ("3 4 6 4 0 5\n", "", "promises 2 lines, but 1 follow"),
    ],
)
def test_what_is_wrong_is_said(old: str, new: str, message: str) -> None:
    assert old in TEXT
    with pytest.raises(ValueError, match=message):
        parse(TEXT.replace(old, new).encode())


@pytest.mark.parametrize("change", [-1, 25])
def test_a_binary_body_of_another_size_is_refused(change: int) -> None:
    body = (ROWS.tobytes() + bytes(25))[: 2 * ROWS.itemsize + change]
    with pytest.raises(ValueError, match=f"promises 50 bytes, but {50 + change} follow"):
        parse(HEADER.format("binary").encode() + body)
