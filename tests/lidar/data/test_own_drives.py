"""Contract: a user's drives are scenes, without labels or a camera, of the model's radius."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial import KDTree
from scipy.spatial.transform import Rotation
from tiny_run import LIDAR_NETWORK

from domains.errors import FewstepError
from domains.lidar.data.scenes import Scenes
from domains.lidar.data.semantic_kitti import open_sequence
from domains.lidar.network.config import NetworkConfig
from domains.lidar.settings import LidarData

CONFIG = NetworkConfig.parse(LIDAR_NETWORK, "tests")


def test_model_of_another_radius_is_refused(tiny_streets: LidarData) -> None:
    config, scenes = CONFIG.model_copy(update={"radius": 20.0}), Scenes(tiny_streets)
    for ask in (
        lambda: scenes.training(config, [0]),
        lambda: scenes.validation(config, 1),
        lambda: scenes.held_out(config, [0], 0),
        lambda: scenes.training_batch(config, 1, 0, 0),
        lambda: scenes.with_truth(config, 1),
    ):
        with pytest.raises(FewstepError, match=r"another radius.*data\.radius: 20.*got 50"):
            ask()


def test_own_drives_need_neither_labels_nor_a_camera(
    tiny_streets: LidarData, tmp_path: Path
) -> None:
    """KISS-ICP's poses of the sensor give the same map, but for what moves."""
    name, scenes = tiny_streets.held_out[0], Scenes(tiny_streets)
    source = Path(str(tiny_streets.path)) / "sequences" / name
    leave = shutil.ignore_patterns("map*")
    shutil.copytree(source, tmp_path / "sequences" / name, ignore=leave)
    data = tiny_streets.model_copy(update={"path": str(tmp_path)})
    drive = Path(str(data.path)) / "sequences" / name
    poses = open_sequence(drive).poses
    turns = Rotation.from_matrix(poses[:, :3, :3]).as_quat()
    rows = np.column_stack([np.arange(len(poses)), poses[:, :3, 3], turns])
    np.savetxt(drive / f"{name}_poses_tum.txt", rows)
    shutil.rmtree(drive / "labels")
    for file in ("poses.txt", "calib.txt"):
        (drive / file).unlink()
    found, expected = (one.whole([0], 0)[0] for one in (Scenes(data), scenes))
    np.testing.assert_array_equal(found.partial, expected.partial)
    distance, _ = KDTree(found.truth).query(expected.truth)
    assert distance.max() < 1e-3 and len(found.truth) >= len(expected.truth)
