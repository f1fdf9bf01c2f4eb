"""Contract: a file that ends as programs and users leave it is read; what is in doubt is left out.

A text without its last newline, a binary body with filling; never a number that was cut off.
"""

from pathlib import Path

import numpy as np
import pytest
from lidar.files.test_point_cloud import LITTLE, PCD, POINTS, VALID, pcd, ply, put

from domains.errors import FewstepError
from domains.lidar.files import read_points


@pytest.mark.parametrize("kind", ["ply", "pcd"])
class TestALastLineThatDoesNotEnd:
    """Its last number is whole if it is as long as those above it can be; else it is in doubt."""

    def read(self, tmp_path: Path, kind: str, text: str) -> list[list[float]]:
        make = {"ply": ply, "pcd": pcd}[kind]
        body = text.encode()
        return read_points(
            put(tmp_path, f"a.{kind}", make("ascii", body, text.count("\n") + 1))
        ).tolist()

    @pytest.mark.parametrize(
        ("text", "last"),
        [
            ("1.50 2.25 3.75\n4.00 5.00 -16.25", [4, 5, -16.25]),
            ("1 2 3\n4 5 6", [4, 5, 6]),
            ("1.5 2.5 3.125\n1 2 3.5\n4 5 -16.25", [4, 5, -16.25]),
            ("1.5 2.5 3.5\r\n1.5 2.5 4.5\r", [1.5, 2.5, 4.5]),
        ],
    )
    def test_whole(self, tmp_path: Path, kind: str, text: str, last: list[float]) -> None:
        found = self.read(tmp_path, kind, text)
        assert found[-1] == last and len(found) == text.count("\n") + 1

    @pytest.mark.parametrize(
        "text",
        [
            "1.50 2.25 3.75\n4.00 5.00 -16.2",
            "1.50 2.25 3.75\n4.00 5.00 -16",
            "1 2 34\n4 5 6",
            "1.5 2.5 3.125\n1 2 3.5\n4 5 -16.",
        ],
    )
    def test_in_doubt(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture, kind: str, text: str
    ) -> None:
        found = self.read(tmp_path, kind, text)
        assert len(found) == text.count("\n") and "1 of" in caplog.text

    def test_a_number_that_is_not_read_is_not_in_doubt(self, tmp_path: Path, kind: str) -> None:
        if kind == "ply":
            content = ply("ascii", b"1 2 3 10\n4 5 6 1", 2, more="property uchar red\n")
        else:
            header = PCD.format(2, "ascii").replace("x y z", "x y z i")
            header = header.replace("4 4 4", "4 4 4 1").replace("F F F", "F F F U")
            content = header.encode() + b"1 2 3 10\n4 5 6 1"
        assert len(read_points(put(tmp_path, f"a.{kind}", content))) == 2


BINARY = [name for name in VALID if name.split(".")[0] in ("little", "big", "double", "binary")]


@pytest.mark.parametrize("name", [*BINARY, "packed.pcd"])
@pytest.mark.parametrize("more", [b"\n", b"\0", b"x"])
def test_one_byte_too_many_hides_no_point(tmp_path: Path, name: str, more: bytes) -> None:
    np.testing.assert_array_equal(read_points(put(tmp_path, name, VALID[name] + more)), POINTS)


@pytest.mark.parametrize("name", BINARY)
def test_more_bytes_are_taken_for_points_unless_they_are_filling(tmp_path: Path, name: str) -> None:
    np.testing.assert_array_equal(read_points(put(tmp_path, name, VALID[name] + bytes(11))), POINTS)
    for more in (b"xy", bytes(24)):
        with pytest.raises(FewstepError, match=r"promises \d+ bytes, but \d+ follow"):
            read_points(put(tmp_path, name, VALID[name] + more))


def test_a_body_that_was_copied_as_text_is_refused(tmp_path: Path) -> None:
    """Each byte 10 became two, so all that follows the first is out of place."""
    points = POINTS.copy()
    points.view("u4")[1, 1] = 0x41200A41
    body = points.tobytes().replace(b"\n", b"\r\n")
    assert len(body) == points.nbytes + 1
    for name, content in {"a.pcd": pcd("binary", body), "a.ply": ply(LITTLE, body)}.items():
        with pytest.raises(FewstepError, match="copied as text"):
            read_points(put(tmp_path, name, content))
