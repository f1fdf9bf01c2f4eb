"""Contract: a sample depends on seed and index only, and both its clouds share one frame."""

from pathlib import Path

import numpy as np
import pytest
from lidar.data.sequence_files import wall, write_sequence

from domains.errors import FewstepError
from domains.lidar.data.scene_map import moved
from domains.lidar.data.scene_sample import Streets, farthest_points, near_partial, resampled
from domains.lidar.data.semantic_kitti import open_sequence

pytestmark = pytest.mark.usefixtures("open3d")


@pytest.fixture(scope="module")
def streets(tiny_sequence: Path) -> Streets:
    return Streets([tiny_sequence], partial_points=300, truth_points=2000)


def test_shapes_and_names(streets: Streets) -> None:
    assert len(streets) == 3
    sample = streets.sample(1)
    assert sample.partial.shape == (300, 3)
    assert sample.truth.shape == (2000, 3)
    assert sample.name == "00_000001"


def test_a_sample_is_decided_by_seed_and_index(tiny_sequence: Path, streets: Streets) -> None:
    again = Streets([tiny_sequence], partial_points=300, truth_points=2000)
    again.sample(0)
    for one, other in zip(streets.sample(2), again.sample(2), strict=True):
        np.testing.assert_array_equal(one, other)
    other_seed = Streets([tiny_sequence], partial_points=300, truth_points=2000, seed=1)
    assert np.abs(streets.sample(2).partial - other_seed.sample(2).partial).max() > 0.1
    # The second time round it is the same scan, but augmented anew.
    assert streets.sample(5).name == streets.sample(2).name
    assert np.abs(streets.sample(2).partial - streets.sample(5).partial).max() > 0.1


def test_several_sequences_follow_each_other(tiny_sequence: Path) -> None:
    streets = Streets([tiny_sequence, tiny_sequence], partial_points=50, truth_points=50)
    names = [streets.sample(i).name for i in range(6)]
    assert names == ["00_000000", "00_000001", "00_000002"] * 2


def test_scan_and_ground_truth_share_the_frame(tiny_sequence: Path) -> None:
    """The scan is part of the map, so every partial point has a map point in or by its voxel."""
    from scipy.spatial import KDTree

    for training in (True, False):
        streets = Streets([tiny_sequence], 300, None, training=training)
        partial, truth, _ = streets.sample(1)
        distance = KDTree(truth).query(partial)[0]
        # A voxel's diagonal is 0.17 m; scaled by 1.05.
        assert np.quantile(distance, 0.9 if not training else 1.0) < 0.19


def test_augmentation_moves_both_alike(tiny_sequence: Path) -> None:
    """Distances between the clouds change by the scale alone."""
    plain = Streets([tiny_sequence], 300, None, training=False).sample(0)
    drawn = Streets([tiny_sequence], 300, None, training=True).sample(0)
    farthest = [np.linalg.norm(x.partial, axis=1).max() for x in (plain, drawn)]
    assert 0.9 < farthest[1] / farthest[0] < 1.1
    centre_distance = [np.linalg.norm(x.truth.mean(0) - x.partial.mean(0)) for x in (plain, drawn)]
    assert centre_distance[1] == pytest.approx(centre_distance[0], rel=0.3)


def test_filters(tiny_sequence: Path) -> None:
    for training in (True, False):
        streets = Streets([tiny_sequence], 10**4, None, training=training)
        partial, truth, _ = streets.sample(0)
        scale = 1.05 if training else 1.0
        distance = np.linalg.norm(partial, axis=1)
        assert distance.min() > 3.5 / scale
        assert distance.max() < 50.0 * scale
        assert np.linalg.norm(truth, axis=1).max() < 50.0 * scale
        assert near_partial(truth, partial).all()
    assert truth[:, 2].max() < 4.4
    assert truth[:, 2].min() > -4.0


def test_training_leaves_out_what_moves(tiny_sequence: Path, tmp_path: Path) -> None:
    import shutil

    directory = tmp_path / "00"
    shutil.copytree(tiny_sequence, directory)
    sequence = open_sequence(directory)
    for i, path in enumerate(sequence.label_files):
        np.where(sequence.points(i)[:, 2] > 0, 252, 40).astype("<u4").tofile(path)
    kept = Streets([directory], 10**4, None).sample(0).partial
    still = int((sequence.points(0)[:, 2] <= 0).sum())
    assert 0 < len(np.unique(kept, axis=0)) <= still
    everything = Streets([directory], 10**4, None, training=False).sample(0).partial
    assert everything[:, 2].max() > 0


def test_farthest_points_are_greedy() -> None:
    points = np.random.default_rng(0).normal(size=(60, 3)).astype(np.float32)
    chosen = [0]
    while len(chosen) < 12:
        gaps = np.linalg.norm(points[:, None] - points[chosen], axis=-1).min(1)
        chosen.append(int(gaps.argmax()))
    found = farthest_points(points, 12)
    np.testing.assert_array_equal(np.unique(found, axis=0), np.unique(points[chosen], axis=0))


def test_the_choice_of_farthest_points_ignores_a_similarity() -> None:
    """So it may be made before the augmentation, and kept."""
    from domains.lidar.data.augmentation import draw_similarity

    rng = np.random.default_rng(0)
    points = rng.normal(size=(200, 3)).astype(np.float32)
    matrix = draw_similarity(rng).astype(np.float32)
    after, before = farthest_points(points @ matrix, 40), farthest_points(points, 40) @ matrix
    np.testing.assert_allclose(np.sort(after, 0), np.sort(before, 0), atol=1e-5)


def test_too_few_points_are_repeated_evenly() -> None:
    points = np.arange(12, dtype=np.float32).reshape(4, 3)
    rows, counts = np.unique(farthest_points(points, 10), axis=0, return_counts=True)
    assert len(rows) == 4
    assert sorted(counts) == [2, 2, 3, 3]


@pytest.mark.parametrize("count", [3, 7, 10, 25])
def test_ground_truth_is_used_evenly(count: int) -> None:
    points = np.arange(21, dtype=np.float32).reshape(7, 3)
    drawn = resampled(np.random.default_rng(0), points, count)
    counts = np.array([(drawn == point).all(1).sum() for point in points])
    assert counts.sum() == count
    assert counts.max() - counts.min() <= 1


def test_no_ground_truth_is_an_error() -> None:
    with pytest.raises(FewstepError, match="no ground truth"):
        resampled(np.random.default_rng(0), np.zeros((0, 3), np.float32), 5)


def test_no_sequence_is_an_error() -> None:
    with pytest.raises(FewstepError, match="no LiDAR sequences"):
        Streets([])


def test_cells_follow_open3d_s_voxel_grid() -> None:
    import open3d

    rng = np.random.default_rng(0)
    partial = rng.uniform([-45, -45, -3], [45, 45, 4], (60, 3))
    truth = rng.uniform([-55, -55, -9], [55, 55, 9], (3000, 3))
    # On the lower corner of the grid, and on its very edge.
    truth[0], truth[1] = partial.min(0) - 5, partial.min(0) - 5.001
    cloud = open3d.geometry.PointCloud(open3d.utility.Vector3dVector(partial))
    grid = open3d.geometry.VoxelGrid.create_from_point_cloud(cloud, 10.0)
    inside = grid.check_if_included(open3d.utility.Vector3dVector(truth))
    found = near_partial(truth, partial)
    assert 0.1 < found.mean() < 0.9
    np.testing.assert_array_equal(found[1:], inside[1:])


def test_poses_carry_points_between_scans(tiny_sequence: Path) -> None:
    there = np.linalg.inv(open_sequence(tiny_sequence).poses[2])
    points = np.random.default_rng(0).normal(size=(5, 3))
    np.testing.assert_allclose(moved(moved(points, there), np.linalg.inv(there)), points)


# Points that are there twice, scans that can't be used


@pytest.mark.parametrize("times", [2, 3, 50])
@pytest.mark.parametrize("count", [1, 30, 31, 45, 59])
def test_repeated_points_give_as_many_as_asked(times: int, count: int) -> None:
    distinct = np.random.default_rng(0).normal(size=(30, 3)).astype(np.float32)
    for points in (np.repeat(distinct, times, 0), np.tile(distinct, (times, 1))):
        found = farthest_points(points, count)
        assert found.shape == (count, 3) and found.dtype == np.float32
        rows, counts = np.unique(found, axis=0, return_counts=True)
        assert len(rows) == min(count, 30)
        assert counts.max() - counts.min() <= 1
        assert set(map(tuple, rows.tolist())) <= set(map(tuple, distinct.tolist()))


def test_a_single_place_gives_as_many_as_asked() -> None:
    assert farthest_points(np.ones((90, 3), np.float32), 50).tolist() == [[1, 1, 1]] * 50


def test_returns_that_come_twice_make_a_sample(tmp_path: Path) -> None:
    scans = [np.repeat(wall(seed=k), 2, 0) for k in range(2)]
    directory = write_sequence(tmp_path / "08", scans, [(0, 0, 0)] * 2)
    for training in (True, False):
        streets = Streets([directory], 500, 100, training=training)
        assert streets.sample(1).partial.shape == (500, 3)


def test_a_scene_far_away_is_the_one_nearby(tmp_path: Path) -> None:
    scans = [np.round(wall(seed=k), 2) for k in range(3)]
    scenes = []
    for name, x, y in (("near", 0, 0), ("far", 388096, 3948996)):
        places = [(x + k, y, 0) for k in range(3)]
        directory = write_sequence(tmp_path / name / "08", scans, places)
        scenes.append(Streets([directory], None, None, training=False).sample(2))
    near, far = scenes
    np.testing.assert_array_equal(far.partial, near.partial)
    # A point on the edge of a voxel may be another one's.
    gaps = np.linalg.norm(far.truth[:, None] - near.truth[None], axis=-1).min(1)
    assert np.mean(gaps < 1e-3) > 0.98 and abs(len(far.truth) - len(near.truth)) < 10


def test_a_scan_that_cannot_be_used_is_passed_over(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    scans = [wall(seed=k) for k in range(4)]
    directory = write_sequence(tmp_path / "08", scans, [(0, 0, 0)] * 4)
    streets = Streets([directory], 50, 50)
    whole = [streets.usable(k) for k in range(8)]
    assert [scene.name[-1] for scene in whole] == list("01230123") and not caplog.text
    wall()[:0].tofile(directory / "velodyne/000001.bin")
    np.full((300, 4), np.nan, "<f4").tofile(directory / "velodyne/000002.bin")
    streets = Streets([directory], 50, 50)
    caplog.clear()
    found = [streets.usable(k) for k in range(8)]
    assert [scene.name[-1] for scene in found] == list("03330333")
    # Those that can be used are what they were, the others drawn anew; each loss is said once.
    for k in (0, 3, 4, 7):
        np.testing.assert_array_equal(found[k].partial, whole[k].partial)
    assert len({scene.partial.tobytes() for scene in found}) == 8
    said = [message for message in caplog.messages if "passed over" in message]
    assert len(said) == 2 and "000001.bin" in said[0] and "000002.bin" in said[1]


def test_no_scan_that_can_be_used_is_an_error(tmp_path: Path) -> None:
    directory = write_sequence(tmp_path / "08", [wall(seed=k) for k in range(3)], [(0, 0, 0)] * 3)
    streets = Streets([directory], 50, 50)
    for path in (directory / "velodyne").iterdir():
        path.write_bytes(b"")
    with pytest.raises(FewstepError, match="it is empty"):
        streets.usable(7)


def test_radius_cuts_scan_and_truth(tiny_sequence: Path) -> None:
    for training in (True, False):
        near = Streets([tiny_sequence], 200, None, training=training, radius=12.0).sample(0)
        far = Streets([tiny_sequence], 200, None, training=training).sample(0)
        for cut, whole in zip(near[:2], far[:2], strict=True):
            scale = 1.05 if training else 1.0
            assert np.linalg.norm(cut, axis=1).max() < 12 * scale
            assert np.linalg.norm(whole, axis=1).max() > 15


def test_farthest_points_of_training_are_sought_among_one_a_voxel(
    tiny_sequence: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def found(points: np.ndarray, count: int) -> np.ndarray:
        seen.append(points)
        return farthest_points(points, count)

    monkeypatch.setattr("domains.lidar.data.scene_sample.farthest_points", found)
    for training in (True, False):
        Streets([tiny_sequence], 20, None, training=training).sample(0)
    voxels = [len(np.unique(np.floor(points / 0.1), axis=0)) for points in seen]
    assert voxels[0] == len(seen[0]) and voxels[1] < len(seen[1])
