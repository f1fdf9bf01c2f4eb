"""Contract: the map holds what stands still, the first hit of each voxel, and is built once."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from lidar.data.sequence_files import wall, write_sequence

from domains.errors import FewstepError
from domains.lidar.data.scene_map import (
    SceneMap,
    build_map,
    first_per_voxel,
    input_checksum,
    load_map,
)
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


# Maps far from their origin


def marked(tmp_path: Path, places: list[tuple[float, float, float]]) -> KittiSequence:
    """A sequence of scans of one standing wall; each pose is on the grid of the map's voxels."""
    world = wall(400)[:, :3].astype(np.float64)
    scans = [np.pad(world - np.subtract(place, places[0]), ((0, 0), (0, 1))) for place in places]
    return open_sequence(write_sequence(tmp_path / "08", scans, places))


EARTH = {"UTM": (388096.0, 3948996.0, 41.0), "ECEF": (-2418350.0, 5386100.0, 2405000.0)}


@pytest.mark.parametrize("place", EARTH.values(), ids=EARTH)
def test_a_map_far_away_is_exact_to_a_millimetre(
    tmp_path: Path, place: tuple[float, float, float]
) -> None:
    places = [(place[0] + 0.5 * k, place[1], place[2]) for k in range(6)]
    sequence = marked(tmp_path, places)
    found = load_map(sequence, tmp_path / "map.npz").points + sequence.origin - place
    nearby = [tuple(np.subtract(one, place)) for one in places]
    expected = build_map(marked(tmp_path / "near", nearby))
    np.testing.assert_allclose(np.sort(found, 0), np.sort(expected, 0), atol=1e-3)
    # The file tells where it is.
    with np.load(tmp_path / "map.npz") as stored:
        np.testing.assert_array_equal(stored["origin"], sequence.origin)
    again = load_map(sequence, tmp_path / "map.npz")
    np.testing.assert_array_equal(again.points + sequence.origin - place, found)


def test_a_way_that_leads_far_away_is_exact_all_along(tmp_path: Path) -> None:
    """Even where the first pose is the origin, as after a gap in what located the sensor."""
    scans = [wall(400, seed) for seed in range(2)]
    places = [(0.0, 0.0, 0.0), (388096.0, 3948996.0, 41.0)]
    sequence = open_sequence(write_sequence(tmp_path / "08", scans, places))
    scene = load_map(sequence, tmp_path / "map.npz")
    for scan, place in zip(scans, places, strict=True):
        found = scene.within(np.array(place), 50.0).astype(np.float64) - place
        gaps = np.linalg.norm(found[:, None] - scan[None, :, :3], axis=-1).min(1)
        assert len(found) > 300 and gaps.max() < 1e-3


def test_the_map_of_a_version_that_rounded_is_built_again(tmp_path: Path) -> None:
    sequence = marked(tmp_path, [EARTH["UTM"]])
    cache = tmp_path / "map.npz"
    near = replace(sequence, origin=np.zeros(3))
    assert input_checksum(near) != input_checksum(sequence)
    first = load_map(sequence, cache).points
    written = cache.stat().st_mtime_ns
    load_map(near, cache)
    assert cache.stat().st_mtime_ns != written
    np.testing.assert_array_equal(load_map(sequence, cache).points, first)


def test_points_that_are_not_finite_are_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    scans = [wall(seed=seed) for seed in range(3)]
    scans[0][:5] = scans[2][::100] = np.nan
    sequence = open_sequence(write_sequence(tmp_path / "08", scans, [(0, 0, 0)] * 3))
    assert np.isfinite(build_map(sequence)).all()
    assert "8 points in 2 scans of" in caplog.text and "not finite" in caplog.text
