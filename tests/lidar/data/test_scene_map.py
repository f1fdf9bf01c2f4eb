"""Contract: the map holds what stands still, the first hit of each voxel, and is built once."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from domains.errors import FewstepError
from domains.lidar.data.scene_map import SceneMap, build_map, first_per_voxel, load_map
from domains.lidar.data.semantic_kitti import KittiSequence, open_sequence

pytestmark = pytest.mark.usefixtures("open3d")


def naive_map(sequence: KittiSequence) -> np.ndarray:
    """Go through all points one by one, as the rule is worded."""
    known: dict[tuple[int, ...], np.ndarray] = {}
    for i in range(len(sequence)):
        for point, label in zip(sequence.points(i), sequence.labels(i), strict=True):
            if 2 <= label < 252 and np.linalg.norm(point) > 3.5:
                placed = sequence.poses[i][:3, :3] @ point + sequence.poses[i][:3, 3]
                known.setdefault(tuple(np.floor(placed / 0.1).astype(int)), placed)
    return np.array(list(known.values()))


def test_the_map_equals_a_naive_one(tiny_sequence: Path) -> None:
    sequence = open_sequence(tiny_sequence)
    sequence = replace(sequence, scan_files=sequence.scan_files[:2])
    np.testing.assert_allclose(build_map(sequence), naive_map(sequence), atol=1e-5)


def test_moving_things_are_left_out(tiny_sequence: Path, tmp_path: Path) -> None:
    sequence = open_sequence(tiny_sequence)
    for i, path in enumerate(sequence.label_files):
        labels = np.where(sequence.points(i)[:, 1] > 0, 252, 40).astype("<u4")
        labels.tofile(tmp_path / path.name)
    files = tuple(tmp_path / path.name for path in sequence.label_files)
    still = build_map(replace(sequence, label_files=files, poses=np.tile(np.eye(4), (3, 1, 1))))
    assert len(still) > 1000
    assert still[:, 1].max() <= 0


def test_a_sequence_of_moving_things_has_no_map(tiny_sequence: Path, tmp_path: Path) -> None:
    sequence = open_sequence(tiny_sequence)
    for i in range(len(sequence)):
        np.full(len(sequence.points(i)), 252, "<u4").tofile(tmp_path / f"{i}.label")
    files = tuple(tmp_path / f"{i}.label" for i in range(len(sequence)))
    with pytest.raises(FewstepError, match="no static points"):
        build_map(replace(sequence, label_files=files))


def test_first_hit_of_a_voxel_wins() -> None:
    points = np.array([[0.0, 0, 0], [0.09, 0, 0], [-0.01, 0, 0], [0.1, 0, 0], [-0.09, 0, 0]])
    assert first_per_voxel(points, 0.1).tolist() == [0, 2, 3]
    assert first_per_voxel(points[:0], 0.1).tolist() == []


@pytest.mark.parametrize("radius", [0.5, 7.0, 31.0])
def test_a_neighbourhood_is_what_a_full_search_finds(radius: float) -> None:
    rng = np.random.default_rng(0)
    points, centre = rng.uniform(-40, 40, (5000, 3)), np.array([-9.5, 20.1, 3.0])
    found = SceneMap.of(points).within(centre, radius)
    expected = points[np.linalg.norm(points - centre, axis=1) < radius].astype(np.float32)
    np.testing.assert_array_equal(np.unique(found, axis=0), np.unique(expected, axis=0))


def test_far_away_there_is_nothing() -> None:
    assert SceneMap.of(np.zeros((1, 3))).within(np.full(3, 500.0), 50.0).shape == (0, 3)


def test_the_map_is_read_back_until_its_inputs_change(tiny_sequence: Path, tmp_path: Path) -> None:
    sequence, cache = open_sequence(tiny_sequence), tmp_path / "maps" / "map.npz"
    first = load_map(sequence, cache)
    written = cache.stat().st_mtime_ns
    np.testing.assert_array_equal(load_map(sequence, cache).points, first.points)
    assert cache.stat().st_mtime_ns == written
    poses = sequence.poses.copy()
    poses[:, 0, 3] += 100.0
    shifted = load_map(replace(sequence, poses=poses), cache)
    assert shifted.points[:, 0].mean() == pytest.approx(first.points[:, 0].mean() + 100, abs=1)
    assert [path.name for path in cache.parent.iterdir()] == ["map.npz"]


def test_a_map_that_cannot_be_written_is_named(tiny_sequence: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(FewstepError, match=r"can't write the map .*Give a directory"):
        load_map(open_sequence(tiny_sequence), tmp_path / "file" / "map.npz")


@pytest.mark.parametrize("content", [b"no map", b"", b"PK\x03\x04 cut off"])
def test_a_damaged_map_is_named(tiny_sequence: Path, tmp_path: Path, content: bytes) -> None:
    cache = tmp_path / "map.npz"
    cache.write_bytes(content)
    with pytest.raises(FewstepError, match=r"can't read the map .*map\.npz.*Delete"):
        load_map(open_sequence(tiny_sequence), cache)
