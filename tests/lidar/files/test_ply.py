"""Contract: vertices are found wherever the header says they are, or the header is refused."""

import numpy as np
import pytest

from domains.lidar.files.ply import parse

ROWS = np.array(
    [(3.0, 7, 1.0, 2.0), (6.0, 8, 4.0, 5.0)],
    dtype=[("z", ">f8"), ("label", "u1"), ("x", ">f4"), ("y", ">i2")],
)
SHUFFLED = """ply\r
format binary_big_endian 1.0\r
comment a café, and its\r
comment end_header\r
obj_info scanned\r
element camera 2\r
property uint id\r
element vertex 2\r
property float64 z\r
property uchar label\r
property float32 x\r
property short y\r
end_header\r
"""
TEXT = """ply
format ascii 1.0
element vertex 2
property float y
property float x
property float z
end_header
1 2 3
4 5 6
"""


def test_properties_of_any_type_in_any_order_behind_another_element() -> None:
    data = SHUFFLED.encode() + bytes(8) + ROWS.tobytes()
    np.testing.assert_array_equal(parse(data), [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])


def test_text_in_another_order_between_other_elements() -> None:
    expected = [[2.0, 1.0, 3.0], [5.0, 4.0, 6.0]]
    np.testing.assert_array_equal(parse(TEXT.encode()), expected)
    np.testing.assert_array_equal(parse(TEXT.replace("\n", "\r\n").encode()), expected)
    longer = TEXT.replace(
        "element vertex", "element group 1\nproperty list uchar int a\nelement vertex"
    )
    longer = longer.replace("1 2 3\n", "2 8 9\n1 2 3\n")
    np.testing.assert_array_equal(parse(longer.encode()), expected)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("ply\n", "plx\n", "doesn't begin with 'ply'"),
        ("ascii 1.0", "ascii 2.0", "line 'format ascii 2.0'"),
        ("format ascii 1.0\n", "", "has the line 'property float y'"),
        ("format ascii 1.0\n", "format ascii 1.0\n" * 2, "line 'format ascii 1.0'"),
        ("element vertex 2\n", "", "line 'property float y'"),
        ("element vertex", "element points", "no 'element vertex'"),
        ("vertex 2", "vertex -2", "'-2' where a count belongs"),
        ("vertex 2", "vertex two", "'two' where a count belongs"),
        ("vertex 2", "vertex", "line 'element vertex'"),
        ("float z", "quad z", "no type of PLY: 'quad'"),
        ("float z", "float w", "no single x, y and z, but 'y x w'"),
        ("float z", "float x", "no single x, y and z, but 'y x x'"),
        ("float z", "list uchar float z", "points hold lists"),
        ("end_header", "end_headers", "no end"),
        ("end_header", "ending", "no end"),
        ("4 5 6", "4 5", "number of columns"),
        ("1 2 3\n4 5 6", "1 2\n4 5", "lines have 2 numbers, its header promises 3"),
        ("4 5 6", "4 5 six", "could not convert string 'six'"),
        ("4 5 6\n", "4 5 6\n7 8 9\n", "promises 2 lines, but 3 follow"),
    ],
)
def test_what_is_wrong_is_said(old: str, new: str, message: str) -> None:
    assert old in TEXT
    with pytest.raises(ValueError, match=message):
        parse(TEXT.replace(old, new).encode())


def test_lists_before_binary_points_are_refused() -> None:
    header = TEXT[: TEXT.index("1 2 3")].replace("ascii", "binary_little_endian")
    header = header.replace(
        "element vertex", "element a 1\nproperty list uchar int b\nelement vertex"
    )
    with pytest.raises(ValueError, match="lists before its points"):
        parse(header.encode() + bytes(29))
