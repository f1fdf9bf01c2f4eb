"""Contract: a headerless scan is read with the width that its rows have, or refused.

The width is told from what stands beside the file or from its content, never guessed: of columns
and numbers of points in many combinations none is read as rows of another width.
"""

from pathlib import Path

import numpy as np
import pytest

from domains.errors import FewstepError
from domains.lidar.files import read_points, read_scan
from domains.lidar.files.row_width import told_width

KINDS = {
    "i": lambda rng, n: rng.uniform(0, 1, n),
    "counts": lambda rng, n: rng.integers(0, 256, n),
    "nothing": lambda rng, n: np.zeros(n),
    "half": lambda rng, n: np.full(n, 0.5),
    "ring": lambda rng, n: rng.integers(0, 32, n),
    "row": lambda rng, n: np.arange(n) * 64 // n,
    "time": lambda rng, n: np.linspace(0, 0.1, n),
    "epoch": lambda rng, n: 1.6e9 + np.linspace(0, 0.1, n),
    "speed": lambda rng, n: rng.normal(0, 5, n),
}
LAYOUTS = (
    *("", "i", "counts", "nothing", "half", "ring", "i ring", "counts row", "i time"),
    *("i ring time", "i ring epoch", "counts counts counts", "i speed speed", "ring row"),
    *("i speed speed time", "i time ring i ring"),
)


def rows(layout: str, count: int, seed: int = 0) -> np.ndarray:
    """Return points on the ground and on walls around, with more columns."""
    rng = np.random.default_rng([seed, count])
    ground = rng.choice([-1.7, 0.3], count) + rng.normal(0, 0.03, count)
    xyz = [rng.uniform(-45, 45, count), rng.uniform(-45, 45, count), ground]
    return np.column_stack([*xyz, *(KINDS[name](rng, count) for name in layout.split())]).astype(
        "f4"
    )


def put(path: Path, table: np.ndarray) -> Path:
    table.astype("<f4").tofile(path)
    return path


@pytest.mark.parametrize("layout", LAYOUTS)
def test_many_points_tell(tmp_path: Path, layout: str) -> None:
    for count in (60, 1000, 840, 100_000):
        table = rows(layout, count)
        np.testing.assert_array_equal(read_points(put(tmp_path / "a.bin", table)), table[:, :3])


@pytest.mark.parametrize("layout", LAYOUTS)
def test_few_points_tell_or_are_refused(tmp_path: Path, layout: str) -> None:
    for count in range(1, 60):
        for seed in range(3):
            table = rows(layout, count, seed)
            try:
                found = read_points(put(tmp_path / "a.bin", table))
            except FewstepError:
                continue
            np.testing.assert_array_equal(found, table[:, :3])


def missing(table: np.ndarray) -> np.ndarray:
    """Tell which points did not come back: about two of three."""
    return np.random.default_rng(1).random((len(table), 1)) < 0.65


ODD = {
    "most of them not returned": lambda t: np.where(missing(t), np.nan, t),
    "most of them zero": lambda t: np.where(missing(t), 0, t),
    "places only not returned": lambda t: np.column_stack(
        [np.where(missing(t), np.nan, t[:, :3]), t[:, 3:]]
    ),
    "first half not returned": lambda t: np.concatenate([np.zeros_like(t), t]),
    "each twice": lambda t: np.repeat(t, 2, 0),
    "ahead only": lambda t: t[t[:, 0] > 0],
    "sorted": lambda t: t[np.argsort(t[:, 0])],
    "beams in turn": lambda t: t[np.argsort(np.arange(len(t)) % 32, kind="stable")],
}


@pytest.mark.parametrize("layout", ["", "i", "i ring", "i ring time"])
@pytest.mark.parametrize("odd", ODD)
def test_unusual_scans_tell(tmp_path: Path, layout: str, odd: str) -> None:
    table = ODD[odd](rows(layout, 6000)).astype("f4")
    found = read_scan(put(tmp_path / "a.bin", table))
    np.testing.assert_array_equal(found.points, table[np.isfinite(table[:, :3]).all(1), :3])
    assert len(found.kept) == len(table)


def test_points_near_and_far_in_turn_are_not_rows_of_twice_as_many(tmp_path: Path) -> None:
    table = rows("i", 4000)
    table[::2, :3] *= 0.1
    assert told_width(table.reshape(-1)) in (4, 0)
    table[::2, 3] = 0
    assert told_width(table.reshape(-1)) in (4, 0)


@pytest.mark.parametrize("turns", [2, 3, 4, 5, 8])
@pytest.mark.parametrize("layout", ["", "i", "i ring", "i ring time"])
def test_blanks_in_turns_are_never_taken_for_columns(
    tmp_path: Path, layout: str, turns: int
) -> None:
    """One point of so many came back: rows of another width would explain that as well."""
    table = rows(layout, 6000)
    table[np.arange(6000) % turns > 0] = 0
    assert told_width(table.reshape(-1)) in (table.shape[1], 0)


def test_what_has_no_columns_is_refused_with_the_widths_that_fit(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).normal(scale=20, size=1200)
    with pytest.raises(FewstepError) as error:
        read_points(put(tmp_path / "a.bin", noise))
    assert "4800 bytes fit rows of 3, 4, 5, 6 or 8 float32 numbers" in str(error.value)
    assert "data.columns" in str(error.value)


def test_a_scan_that_was_cut_off_within_a_row_is_refused(tmp_path: Path) -> None:
    for layout in LAYOUTS:
        table = rows(layout, 300).reshape(-1)
        for less in range(1, len(layout.split()) + 3):
            with pytest.raises(FewstepError, match=r"looks like rows of \d numbers"):
                read_points(put(tmp_path / "a.bin", table[:-less]))


def test_columns_are_what_the_user_says(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).normal(scale=20, size=(240, 5)).astype("f4")
    path = put(tmp_path / "a.bin", noise)
    names = ("time", "z", "y", "x", "ring")
    np.testing.assert_array_equal(read_points(path, names), noise[:, [3, 2, 1]])
    with pytest.raises(FewstepError, match="4800 bytes are no rows of 7 float32 numbers"):
        read_points(path, (*names, "a", "b"))
    # They are of headerless files only.
    (tmp_path / "a.pcd").write_text(
        "FIELDS x y z\nSIZE 4 4 4\nTYPE F F F\nWIDTH 1\nHEIGHT 1\nPOINTS 1\nDATA ascii\n1 2 3\n"
    )
    assert read_points(tmp_path / "a.pcd", names).tolist() == [[1, 2, 3]]


def test_the_suffix_of_nuscenes_tells_what_the_content_does_not(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).normal(scale=20, size=(240, 5)).astype("f4")
    np.testing.assert_array_equal(read_points(put(tmp_path / "a.pcd.bin", noise)), noise[:, :3])
    table = rows("i", 200)
    np.testing.assert_array_equal(read_points(put(tmp_path / "b.PCD.BIN", table)), table[:, :3])


def test_the_number_of_points_tells_too(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).normal(scale=20, size=(240, 5)).astype("f4")
    path = put(tmp_path / "a.bin", noise)
    assert len(read_scan(path, count=240).points) == 240
    assert len(read_scan(path, count=300).points) == 300
    with pytest.raises(FewstepError, match="fit rows of"):
        read_scan(path, count=241)
