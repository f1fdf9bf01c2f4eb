"""Contract: poses are the sensor's, whichever of the usual files holds them."""

from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from domains.errors import FewstepError
from domains.lidar.data.poses import sensor_poses

TURNS = Rotation.from_rotvec([[0.0, 0.0, 0.1], [0.02, -0.01, 1.2]])
PLACES = np.array([[1.0, 2.0, 0.5], [-3.0, 8.0, 0.25]])
EXPECTED = np.concatenate(
    [np.dstack([TURNS.as_matrix(), PLACES]), [[[0.0, 0.0, 0.0, 1.0]]] * 2], axis=1
)
KITTI = "".join(" ".join(map(str, pose[:3].ravel())) + "\n" for pose in EXPECTED)
TUM = "# timestamp x y z qx qy qz qw\n" + "".join(
    " ".join(map(str, [1e9 + k, *place, *turn])) + "\n"
    for k, (place, turn) in enumerate(zip(PLACES, TURNS.as_quat(), strict=True))
)


@pytest.fixture
def drive(tmp_path: Path) -> Path:
    directory = tmp_path / "sequences/07"
    directory.mkdir(parents=True)
    return directory


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("poses.txt", KITTI),
        ("poses.txt", TUM),
        ("07_poses_kitti.txt", KITTI),
        ("07_poses_tum.txt", TUM),
        ("../../poses/07.txt", KITTI),
    ],
)
def test_usual_files_are_read(drive: Path, name: str, content: str) -> None:
    path = drive / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(content)
    found, poses = sensor_poses(drive)
    assert found.resolve() == path.resolve()
    np.testing.assert_allclose(poses, EXPECTED, atol=1e-9)


def test_with_a_calibration_they_are_the_cameras(drive: Path) -> None:
    camera = np.array([[0.0, -1, 0, 0.1], [0, 0, -1, 0.2], [1, 0, 0, 0.3], [0, 0, 0, 1]])
    poses = camera @ EXPECTED @ np.linalg.inv(camera)
    np.savetxt(drive / "poses.txt", poses[:, :3].reshape(-1, 12))
    (drive / "calib.txt").write_text("Tr: " + " ".join(map(str, camera[:3].ravel())) + "\n")
    np.testing.assert_allclose(sensor_poses(drive)[1], EXPECTED, atol=1e-9)


def test_two_files_of_one_kind_are_refused(drive: Path) -> None:
    for name in ("a_poses_kitti.txt", "b_poses_kitti.txt"):
        (drive / name).write_text(KITTI)
    with pytest.raises(FewstepError, match=r"several files \*_poses_kitti\.txt.*[Kk]eep one"):
        sensor_poses(drive)


@pytest.mark.parametrize(
    "row", ["1 0 0 0 0 0 0 0\n", "1 0 0 x 0 0 0 1\n", "1 0 0 nan 0 0 0 1\n"], ids=str.split
)
def test_rows_that_are_no_quaternion_are_refused(drive: Path, row: str) -> None:
    (drive / "poses.txt").write_text(row)
    with pytest.raises(FewstepError, match=r"poses\.txt"):
        sensor_poses(drive)
