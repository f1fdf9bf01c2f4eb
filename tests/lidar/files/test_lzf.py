"""Contract: literals and copies are what liblzf means by them; damage is a ValueError."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domains.lidar.files.lzf import decompress


@pytest.mark.parametrize(
    ("data", "output"),
    [
        (b"", b""),
        (b"\x02abc", b"abc"),
        # Three bytes from three back; five from two back, which repeats what it writes.
        (b"\x02abc\x20\x02", b"abcabc"),
        (b"\x01ab\x60\x01", b"abababa"),
        # A long copy: 7 + 3 + 2 bytes of the last one.
        (b"\x00a\xe0\x03\x00", b"a" * 13),
        # The lower five bits count 256 of the distance.
        (b"\x00x" + (b"\x1f" + bytes(32)) * 8 + b"\x21\x00", b"x" + bytes(256) + b"x\0\0"),
    ],
)
def test_known_streams(data: bytes, output: bytes) -> None:
    assert decompress(data, len(output)) == output


@pytest.mark.parametrize(
    ("data", "size", "message"),
    [
        (b"\x02ab", 3, "don't stand for 3"),
        (b"\x02ab", 2, "don't stand for 2"),
        (b"\x02abc", 2, "don't stand for 2"),
        (b"\x02abc", 4, "don't stand for 4"),
        (b"\x02abc\x20", 6, "end within a copy"),
        (b"\x02abc\xe0", 12, "end within a copy"),
        (b"\x02abc\x20\x03", 6, "before their beginning"),
    ],
)
def test_damage_is_named(data: bytes, size: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        decompress(data, size)


@given(st.binary(max_size=200), st.integers(0, 500))
def test_any_bytes_give_the_size_or_a_value_error(data: bytes, size: int) -> None:
    with contextlib.suppress(ValueError):
        assert len(decompress(data, size)) == size
