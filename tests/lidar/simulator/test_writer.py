"""Contract: one integer decides a sequence, its parts fit together, and it appears whole."""

from pathlib import Path

import numpy as np
import pytest

from domains.errors import FewstepError
from domains.lidar.data.scene_map import is_static, moved
from domains.lidar.data.semantic_kitti import open_sequence
from domains.lidar.simulator.writer import simulate_sequence

pytestmark = pytest.mark.usefixtures("open3d")


def files(directory: Path) -> dict[str, bytes]:
    """Contents by name, but for the map that the loader keeps there."""
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for path in sorted(directory.rglob("*"))
        if path.is_file() and not path.name.startswith("map")
    }


def test_the_layout_is_what_the_reader_expects(tiny_sequence: Path) -> None:
    sequence = open_sequence(tiny_sequence)
    assert len(sequence) == 3
    np.testing.assert_allclose(sequence.poses[0], np.eye(4), atol=1e-10)
    steps = np.linalg.norm(np.diff(sequence.poses[:, :3, 3], axis=0), axis=1)
    assert ((steps > 0.75) & (steps < 1.25)).all()
    # It drives ahead.
    assert (sequence.poses[1:, 0, 3] > 0.7).all()


def test_one_seed_one_sequence(tiny_sequence: Path, tmp_path: Path) -> None:
    simulate_sequence(tmp_path / "again", seed=5, scans=3, azimuths=240)
    assert files(tmp_path / "again") == files(tiny_sequence)
    simulate_sequence(tmp_path / "other", seed=6, scans=3, azimuths=240, surface=False)
    other, first = files(tmp_path / "other"), files(tiny_sequence)
    assert all(other[name] != first[name] for name in other if name != "calib.txt")


def test_static_points_lie_on_the_surface(tiny_sequence: Path) -> None:
    """Of every scan, once moved by its pose: poses, calibration, labels and surface agree."""
    from scipy.spatial import KDTree

    sequence = open_sequence(tiny_sequence)
    tree = KDTree(np.load(tiny_sequence / "surface.npz")["points"])
    for i in range(3):
        points = sequence.points(i)
        near = np.linalg.norm(points, axis=1) < 40
        placed = moved(points[is_static(sequence.labels(i)) & near], sequence.poses[i])
        distance = tree.query(placed)[0]
        # The surface has one point per 0.1 m voxel; range noise adds 2 cm.
        assert np.median(distance) < 0.06
        assert np.quantile(distance, 0.99) < 0.2
        # A step of 0.2 m in the wrong direction would show.
        assert np.median(tree.query(placed + np.array([0, 0, 0.2]))[0]) > 0.1


def test_nothing_is_left_of_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from domains.lidar.simulator import writer

    def fail(output: Path, *_: object) -> None:
        (output / "poses.txt").write_text("half")
        raise KeyboardInterrupt

    monkeypatch.setattr(writer, "_simulate", fail)
    with pytest.raises(KeyboardInterrupt):
        simulate_sequence(tmp_path / "00", 0, scans=1, azimuths=16)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("seed", "scans", "azimuths"), [(-1, 1, 64), (0, 0, 64), (0, 1, 4)])
def test_numbers_that_make_no_sense(tmp_path: Path, seed: int, scans: int, azimuths: int) -> None:
    with pytest.raises(FewstepError, match="can't simulate"):
        simulate_sequence(tmp_path / "00", seed, scans, azimuths)


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    with pytest.raises(FewstepError, match="exists already"):
        simulate_sequence(tmp_path, 0, 1)
