"""Contract: a sequence is read as SemanticKITTI defines it, or one line names the broken file."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from lidar.data.sequence_files import wall, write_sequence

from domains.errors import FewstepError
from domains.lidar.data.scene_map import is_static
from domains.lidar.data.semantic_kitti import open_sequence

TURN = np.array([[0.0, -1.0, 0.0], [0.0, 0.0, -1.0], [1.0, 0.0, 0.0]])


def write(directory: Path, scans: int = 2) -> Path:
    """Write a sequence whose sensor goes 1 m ahead a scan, and whose camera sits 0.3 m aside."""
    rng = np.random.default_rng(0)
    for part in ("velodyne", "labels"):
        (directory / part).mkdir(parents=True)
    for i in range(scans):
        rows = rng.normal(size=(10 + i, 4)).astype("<f4")
        rows.tofile(directory / "velodyne" / f"{i:06d}.bin")
        labels = np.arange(10 + i, dtype="<u4") + (7 << 16)
        labels.tofile(directory / "labels" / f"{i:06d}.label")
    to_camera = np.column_stack([TURN, [0.1, 0.2, 0.3]])
    poses = [np.column_stack([np.eye(3), [0.0, 0.0, i]]) for i in range(scans)]
    np.savetxt(directory / "poses.txt", [pose.ravel() for pose in poses])
    numbers = " ".join(map(str, to_camera.ravel()))
    (directory / "calib.txt").write_text(f"P0: 1 2 3\nTr: {numbers}\n")
    return directory


def test_points_labels_and_poses(tmp_path: Path) -> None:
    sequence = open_sequence(write(tmp_path / "00"))
    assert len(sequence) == 2
    rows = np.fromfile(tmp_path / "00/velodyne/000001.bin", "<f4").reshape(-1, 4)
    np.testing.assert_array_equal(sequence.points(1), rows[:, :3])
    # The object number in the upper half is left out.
    np.testing.assert_array_equal(sequence.labels(1), np.arange(11))
    # The camera's z is the sensor's x: one metre ahead, whatever the lever arm.
    np.testing.assert_allclose(sequence.poses[1][:3, 3], [1.0, 0.0, 0.0], atol=1e-12)
    np.testing.assert_allclose(sequence.poses[1][:3, :3], np.eye(3), atol=1e-12)


def test_the_lever_arm_matters_in_a_bend(tmp_path: Path) -> None:
    directory = write(tmp_path / "00", scans=1)
    turned = np.array([[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [-1.0, 0.0, 0.0]])
    np.savetxt(directory / "poses.txt", np.column_stack([turned, np.zeros(3)]).reshape(1, -1))
    arm = np.array([0.1, 0.2, 0.3])
    pose = open_sequence(directory).poses[0]
    np.testing.assert_allclose(pose[:3, 3], TURN.T @ (turned @ arm - arm), atol=1e-12)


def test_labels_are_not_needed_when_not_asked_for(tmp_path: Path) -> None:
    directory = write(tmp_path / "00")
    shutil.rmtree(directory / "labels")
    assert open_sequence(directory, labelled=False).label_files == ()


def remove(name: str) -> Callable[[Path], None]:
    return lambda directory: (directory / name).unlink()


def text(name: str, content: str) -> Callable[[Path], None]:
    return lambda directory: (directory / name).write_text(content) and None


POSE = "1 0 0 0 0 1 0 0 0 0 1 0\n"
BROKEN = {
    "no poses": (remove("poses.txt"), r"no poses in .*expected poses\.txt or .*KISS-ICP"),
    "too few poses": (text("poses.txt", POSE), r"poses\.txt doesn't fit.*expected 2.*got 1"),
    "empty poses": (text("poses.txt", "\n"), r"poses\.txt doesn't fit.*got 0"),
    "poses of words": (text("poses.txt", "a b c\n" * 2), r"poses\.txt doesn't parse.*12 numbers"),
    "poses cut off": (text("poses.txt", POSE + "1 0 0 0 0 1"), r"poses\.txt doesn't parse"),
    "NaN poses": (text("poses.txt", POSE.replace("1", "nan") * 2), r"poses\.txt .*no rigid motion"),
    "stretched poses": (text("poses.txt", POSE.replace("1", "2") * 2), "no rigid motion"),
    "calibration without Tr": (text("calib.txt", "P0: 1 2\n"), r"calib\.txt has no calibration"),
    "calibration cut off": (text("calib.txt", "Tr: 1 0 0\n"), r"calib\.txt doesn't parse"),
    "calibration in UTF-16": (text("calib.txt", "Tr: \ufeffé\n"), r"can't read .*calib\.txt"),
    "mirrored calibration": (
        text("calib.txt", "Tr: -1 0 0 0 0 1 0 0 0 0 1 0\n"),
        r"calib\.txt .*no rigid motion",
    ),
    "a label file missing": (remove("labels/000001.label"), r"labels doesn't fit.*got 1"),
    "a scan missing": (remove("velodyne/000001.bin"), r"doesn't fit the scans"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_what_does_not_agree_is_named(tmp_path: Path, case: str) -> None:
    damage, message = BROKEN[case]
    directory = write(tmp_path / "00")
    damage(directory)
    with pytest.raises(FewstepError, match=message):
        open_sequence(directory)


def test_labels_of_another_scan_are_refused(tmp_path: Path) -> None:
    directory = write(tmp_path / "00")
    (directory / "labels/000001.label").rename(directory / "labels/000007.label")
    with pytest.raises(FewstepError, match=r"no labels for .*000001\.bin.*000007"):
        open_sequence(directory)


def test_a_missing_directory_is_named(tmp_path: Path) -> None:
    directory = write(tmp_path / "00")
    shutil.rmtree(directory / "velodyne")
    with pytest.raises(FewstepError, match="no velodyne"):
        open_sequence(directory)


def test_without_labels_all_points_stand_still(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    directory = write(tmp_path / "00")
    shutil.rmtree(directory / "labels")
    sequence = open_sequence(directory)
    points, labels, _ = sequence.labelled(1)
    assert len(points) == len(labels) == 11 and is_static(labels).all()
    assert "has no labels" in caplog.text


@pytest.mark.parametrize("count", [0, 41])
def test_a_scan_that_was_cut_off_is_refused(tmp_path: Path, count: int) -> None:
    directory = write(tmp_path / "00")
    np.zeros(count, "<f4").tofile(directory / "velodyne/000000.bin")
    with pytest.raises(FewstepError, match=r"000000\.bin is no scan"):
        open_sequence(directory).points(0)


def test_a_scan_with_nan_is_refused(tmp_path: Path) -> None:
    directory = write(tmp_path / "00")
    np.full(40, np.nan, "<f4").tofile(directory / "velodyne/000000.bin")
    with pytest.raises(FewstepError, match="not finite"):
        open_sequence(directory).points(0)


def test_too_few_labels_are_refused(tmp_path: Path) -> None:
    directory = write(tmp_path / "00")
    np.zeros(9, "<u4").tofile(directory / "labels/000000.label")
    with pytest.raises(FewstepError, match=r"000000\.label doesn't fit.*expected 10.*got 9"):
        open_sequence(directory).labels(0)


# Scans of other columns, points that are not finite, poses far away


@pytest.mark.parametrize("more", [0, 1, 2, 3])
def test_the_labels_tell_the_width_of_the_rows(tmp_path: Path, more: int) -> None:
    """Even of noise, which looks the same in rows of any width."""
    noise = np.random.default_rng(0).normal(scale=9, size=(60, 3 + more)).astype("<f4")
    sequence = open_sequence(write_sequence(tmp_path / "08", [noise], [(0, 0, 0)]))
    np.testing.assert_array_equal(sequence.points(0), noise[:, :3])
    assert len(sequence.labels(0)) == 60


def test_columns_go_before_all_else(tmp_path: Path) -> None:
    rows = wall()[:, [3, 0, 1, 2]]
    directory = write_sequence(tmp_path / "08", [rows], [(0, 0, 0)])
    sequence = open_sequence(directory, columns=("intensity", "x", "y", "z"))
    np.testing.assert_array_equal(sequence.points(0), wall()[:, :3])
    five = open_sequence(directory, columns=("a", "x", "y", "z", "b"))
    with pytest.raises(FewstepError, match=r"expected 240 labels, got 300"):
        five.labelled(0)


def test_points_that_are_not_finite_lose_their_labels_too(tmp_path: Path) -> None:
    scan = wall()
    scan[::3, 1] = np.nan
    directory = write_sequence(tmp_path / "08", [scan], [(0, 0, 0)])
    np.arange(300, dtype="<u4").tofile(directory / "labels/000000.label")
    points, labels, dropped = open_sequence(directory).labelled(0)
    kept = np.arange(300) % 3 > 0
    np.testing.assert_array_equal(points, scan[kept, :3])
    np.testing.assert_array_equal(labels, np.flatnonzero(kept))
    assert dropped == 100


@pytest.mark.parametrize("damage", [lambda p: p.write_bytes(bytes(1201)), lambda p: p.unlink()])
def test_labels_that_cannot_be_read_are_refused(
    tmp_path: Path, damage: Callable[[Path], object]
) -> None:
    sequence = open_sequence(write_sequence(tmp_path / "08", [wall()], [(0, 0, 0)]))
    damage(sequence.label_files[0])
    with pytest.raises(FewstepError, match=r"000000\.label"):
        sequence.labelled(0)


@pytest.mark.parametrize("place", [(388096.07, 3948996.13, 41.2), (-2.4e6, 5.38e6, 2.4e6)])
def test_poses_far_away_are_counted_from_the_first(
    tmp_path: Path, place: tuple[float, float, float]
) -> None:
    places = [(place[0] + k, place[1], place[2]) for k in range(3)]
    sequence = open_sequence(write_sequence(tmp_path / "08", [wall()] * 3, places))
    np.testing.assert_allclose(sequence.origin, place)
    np.testing.assert_allclose(sequence.poses[:, 0, 3], [0, 1, 2], atol=1e-6)
    np.testing.assert_allclose(sequence.poses[:, :3, 3] + sequence.origin, places, rtol=1e-15)


def test_poses_nearby_stay_as_they_are(tmp_path: Path) -> None:
    sequence = open_sequence(write_sequence(tmp_path / "08", [wall()], [(300.5, -2000.25, 7)]))
    assert sequence.poses[0, :3, 3].tolist() == [300.5, -2000.25, 7]
    assert sequence.origin.tolist() == [0, 0, 0]
