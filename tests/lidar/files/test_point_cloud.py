"""Contract: what is written is read again bit for bit; a file is read right, or refused.

Refused means one FewstepError that names the file. A damaged file never gives another exception,
and where the damage can be seen, never points.
"""

import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domains.errors import FewstepError
from domains.lidar.files import read_points, read_scan, read_whole, write_points

POINTS = np.random.default_rng(0).normal(scale=20.0, size=(7, 3)).astype(np.float32)
PLY = "ply\nformat {} 1.0\n{}end_header\n"
VERTEX = "element vertex {}\nproperty {t} x\nproperty {t} y\nproperty {t} z\n"
PCD = "FIELDS x y z\nSIZE 4 4 4\nTYPE F F F\nWIDTH {0}\nHEIGHT 1\nPOINTS {0}\nDATA {1}\n"


def ply(encoding: str, body: bytes, count: int = 7, kind: str = "float", more: str = "") -> bytes:
    return PLY.format(encoding, VERTEX.format(count, t=kind) + more).encode() + body


def pcd(encoding: str, body: bytes, count: int = 7) -> bytes:
    return PCD.format(count, encoding).encode() + body


def as_text(points: np.ndarray) -> bytes:
    return "".join(f"{x:.9g} {y:.9g} {z:.9g}\n" for x, y, z in points).encode()


def as_lzf(points: np.ndarray) -> bytes:
    """Pack columns as literals only, which is valid LZF."""
    raw = points.T.astype("<f4").tobytes()
    runs = [raw[i : i + 32] for i in range(0, len(raw), 32)]
    packed = b"".join(bytes([len(run) - 1]) + run for run in runs)
    return struct.pack("<II", len(packed), len(raw)) + packed


def as_scan(points: np.ndarray) -> bytes:
    return np.column_stack([points, np.full(len(points), 0.5)]).astype("<f4").tobytes()


LITTLE = "binary_little_endian"
FACES = "element face 1\nproperty list uchar int vertex_indices\n"
VALID = {
    "text.ply": ply("ascii", as_text(POINTS)),
    "little.ply": ply("binary_little_endian", POINTS.astype("<f4").tobytes()),
    "big.ply": ply("binary_big_endian", POINTS.astype(">f4").tobytes()),
    "double.ply": ply("binary_big_endian", POINTS.astype(">f8").tobytes(), kind="double"),
    "text_faces.ply": ply("ascii", as_text(POINTS) + b"3 0 1 2\n", more=FACES),
    "faces.ply": ply(
        "binary_little_endian",
        POINTS.astype("<f4").tobytes() + struct.pack("<Biii", 3, 0, 1, 2),
        more=FACES,
    ),
    "text.pcd": pcd("ascii", as_text(POINTS)),
    "binary.pcd": pcd("binary", POINTS.astype("<f4").tobytes()),
    "packed.pcd": pcd("binary_compressed", as_lzf(POINTS)),
    "scan.bin": as_scan(POINTS),
}


def put(directory: Path, name: str, content: bytes) -> Path:
    path = directory / name
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("suffix", [".ply", ".pcd", ".bin", ".PLY"])
@pytest.mark.parametrize("count", [1, 2, 5000])
def test_what_is_written_is_read_again(tmp_path: Path, suffix: str, count: int) -> None:
    points = np.random.default_rng(count).normal(scale=30.0, size=(count, 3)).astype(np.float32)
    write_points(tmp_path / "new" / f"a{suffix}", points)
    np.testing.assert_array_equal(read_points(tmp_path / "new" / f"a{suffix}"), points)
    assert [path.name for path in (tmp_path / "new").iterdir()] == [f"a{suffix}"]


def test_a_strided_view_is_written_as_it_is_seen(tmp_path: Path) -> None:
    view = POINTS[::-2]
    for suffix in (".ply", ".pcd", ".bin"):
        write_points(tmp_path / f"a{suffix}", view)
        np.testing.assert_array_equal(read_points(tmp_path / f"a{suffix}"), view)


@pytest.mark.parametrize("name", VALID)
def test_every_encoding_gives_the_same_points(tmp_path: Path, name: str) -> None:
    np.testing.assert_array_equal(read_points(put(tmp_path, name, VALID[name])), POINTS)


def test_the_file_of_before_stays_when_the_points_are_refused(tmp_path: Path) -> None:
    write_points(tmp_path / "a.ply", POINTS)
    with pytest.raises(FewstepError, match="not finite"):
        write_points(tmp_path / "a.ply", np.full((2, 3), np.nan, np.float32))
    np.testing.assert_array_equal(read_points(tmp_path / "a.ply"), POINTS)


def with_value(value: float) -> np.ndarray:
    points = POINTS.astype(np.float64)
    points[2, 1] = points[2, 2] = points[5, 0] = value
    return points


def contents(points: np.ndarray) -> dict[str, bytes]:
    """Return the same points in each encoding that can hold them."""
    count, single = len(points), points.astype("<f4")
    return {
        "text.ply": ply("ascii", as_text(points), count),
        "little.ply": ply("binary_little_endian", single.tobytes(), count),
        "double.ply": ply("binary_big_endian", points.astype(">f8").tobytes(), count, "double"),
        "text.pcd": pcd("ascii", as_text(points), count),
        "binary.pcd": pcd("binary", single.tobytes(), count),
        "packed.pcd": pcd("binary_compressed", as_lzf(points), count),
        "scan.bin": as_scan(points),
    }


@pytest.mark.parametrize("name", contents(POINTS))
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_points_that_are_not_finite_are_left_out_and_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str, value: float
) -> None:
    path = put(tmp_path, name, contents(with_value(value))[name])
    np.testing.assert_array_equal(read_points(path), np.delete(POINTS, (2, 5), 0))
    assert caplog.messages == [f"{path}: 2 of 7 points are not finite and left out"]
    assert read_scan(path).kept.tolist() == [True, True, False, True, True, False, True]
    # What was made here has none such.
    with pytest.raises(FewstepError, match=rf"{name} are not finite.*2 broken points of 7"):
        read_whole(path)


@pytest.mark.parametrize("name", contents(POINTS))
def test_a_scan_without_a_finite_point_is_refused(tmp_path: Path, name: str) -> None:
    path = put(tmp_path, name, contents(np.full((7, 3), np.nan))[name])
    with pytest.raises(FewstepError, match=rf"{name}.*(7 points that are not finite|tell)"):
        read_points(path)


@pytest.mark.parametrize("name", contents(POINTS))
def test_points_beyond_100_km_are_counted(tmp_path: Path, name: str) -> None:
    path = put(tmp_path, name, contents(with_value(-100_001.0))[name])
    with pytest.raises(FewstepError, match=rf"{name} lie too far.*2 points of 7 beyond.*100001"):
        read_points(path)


def test_a_double_that_no_float_holds_is_too_far_not_infinite(tmp_path: Path) -> None:
    body = with_value(1e300).astype(">f8").tobytes()
    path = put(tmp_path, "double.ply", ply("binary_big_endian", body, kind="double"))
    with pytest.raises(FewstepError, match=r"2 points of 7 beyond, up to 1e\+300"):
        read_points(path)


@pytest.mark.parametrize("name", [name for name in contents(POINTS) if name != "scan.bin"])
def test_zero_points_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(FewstepError, match=rf"{name} is no scan.*promises no points"):
        read_points(put(tmp_path, name, contents(POINTS[:0])[name]))


@pytest.mark.parametrize("suffix", [".ply", ".pcd", ".bin"])
def test_points_that_could_not_be_read_again_are_not_written(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    for points, message in (
        (POINTS[:0], "no points"),
        (with_value(np.nan), "2 broken points of 7"),
        (with_value(1e6), "2 points of 7 beyond"),
    ):
        with pytest.raises(FewstepError, match=message):
            write_points(path, points.astype(np.float32))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("suffix", [".ply", ".pcd", ".bin"])
class TestWhatIsNoPointCloud:
    def test_missing(self, tmp_path: Path, suffix: str) -> None:
        with pytest.raises(FewstepError, match=rf"can't read .*a{suffix}.*No such file"):
            read_points(tmp_path / f"a{suffix}")

    def test_directory(self, tmp_path: Path, suffix: str) -> None:
        (tmp_path / f"a{suffix}").mkdir()
        with pytest.raises(FewstepError, match=rf"can't read .*a{suffix}.*[Dd]irectory"):
            read_points(tmp_path / f"a{suffix}")
        with pytest.raises(FewstepError, match=rf"can't write .*a{suffix}.*[Dd]irectory"):
            write_points(tmp_path / f"a{suffix}", POINTS)

    def test_empty(self, tmp_path: Path, suffix: str) -> None:
        with pytest.raises(FewstepError, match=rf"a{suffix} is no scan.*empty"):
            read_points(put(tmp_path, f"a{suffix}", b""))

    @pytest.mark.parametrize(
        "text", ["abc", "1.25 3.5 -2.125\n" * 8, "\n" * 16, "é" * 32, "\0" * 5]
    )
    def test_garbage(self, tmp_path: Path, suffix: str, text: str) -> None:
        with pytest.raises(FewstepError, match=rf"a{suffix}"):
            read_points(put(tmp_path, f"a{suffix}", text.encode()))

    def test_another_format(self, tmp_path: Path, suffix: str) -> None:
        for name, content in VALID.items():
            if not name.endswith(suffix):
                with pytest.raises(FewstepError, match=rf"a{suffix}"):
                    read_points(put(tmp_path, f"a{suffix}", content))


@pytest.mark.parametrize("name", ["a.xyz", "a", "a.ply.gz", ".ply"])
def test_other_suffixes_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(FewstepError, match=r"expected \.ply, \.pcd, \.bin"):
        read_points(put(tmp_path, name, VALID["text.ply"]))
    with pytest.raises(FewstepError, match=r"expected \.ply, \.pcd, \.bin"):
        write_points(tmp_path / "out" / name, POINTS)


@pytest.mark.parametrize("count", [10**12, 10**18 - 1, 10**30, 6, 8])
@pytest.mark.parametrize("name", [name for name in contents(POINTS) if name != "scan.bin"])
def test_a_count_that_is_not_kept_is_refused(tmp_path: Path, name: str, count: int) -> None:
    content = VALID[name].replace(b"vertex 7", b"vertex %d" % count)
    content = content.replace(b"WIDTH 7", b"WIDTH %d" % count)
    content = content.replace(b"POINTS 7", b"POINTS %d" % count)
    assert content != VALID[name]
    with pytest.raises(FewstepError, match=rf"{name} is no scan.*its header"):
        read_points(put(tmp_path, name, content))


@pytest.mark.parametrize("size", [1, 15, 17, 111])
def test_a_scan_of_no_whole_rows_is_refused(tmp_path: Path, size: int) -> None:
    with pytest.raises(FewstepError, match=rf"its {size} bytes are no float32 numbers"):
        read_points(put(tmp_path, "a.bin", VALID["scan.bin"][:size].ljust(size, b"\0")))


@pytest.mark.parametrize("name", VALID)
def test_a_file_that_was_cut_off_is_refused_or_still_right(tmp_path: Path, name: str) -> None:
    whole = len(VALID[name])
    for size in sorted({*range(0, whole, 5), *range(whole - 20, whole)}):
        path = put(tmp_path, name, VALID[name][:size])
        try:
            points = read_points(path)
        except FewstepError:
            continue
        # Scans have no count, the last number of a text may be cut off, and faces come after the
        # points: nothing else may be read.
        assert name in ("scan.bin", "faces.ply", "text.ply", "text.pcd", "text_faces.ply")
        np.testing.assert_array_equal(points, POINTS[: len(points)])
        least = {"scan.bin": 1, "text.ply": len(POINTS) - 1, "text.pcd": len(POINTS) - 1}
        assert len(points) >= least.get(name, len(POINTS))


@given(
    name=st.sampled_from(sorted(VALID)),
    flips=st.lists(st.tuples(st.integers(0, 10**6), st.integers(1, 255)), min_size=1, max_size=8),
    cut=st.none() | st.integers(0, 10**6),
)
def test_damage_raises_nothing_but_our_error(
    tmp_path_factory: pytest.TempPathFactory,
    name: str,
    flips: list[tuple[int, int]],
    cut: int | None,
) -> None:
    content = bytearray(VALID[name])
    for place, bits in flips:
        content[place % len(content)] ^= bits
    if cut is not None:
        del content[cut % len(content) :]
    path = put(tmp_path_factory.getbasetemp(), name, bytes(content))
    try:
        points = read_points(path)
    except FewstepError as error:
        assert name in str(error)
        assert len(str(error).split("\n")) == 1
        return
    assert len(points)
    assert np.abs(points).max() <= 1e5
