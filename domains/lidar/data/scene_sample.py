"""One scene: a partial scan and the points it should be completed to, in the sensor frame."""

import logging
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Float32

from domains.errors import FewstepError
from domains.lidar.data.augmentation import draw_similarity
from domains.lidar.data.scene_map import (
    NEAREST,
    VOXEL,
    first_per_voxel,
    is_static,
    load_map,
)
from domains.lidar.data.semantic_kitti import KittiSequence, open_sequence

__all__ = [
    "SceneSample",
    "Streets",
    "farthest_points",
    "near_partial",
    "near_sensor",
    "resampled",
]

_log = logging.getLogger(__name__)

# Metre; LiDiff's scenes reach so far.
RADIUS = 50.0
LOWEST, HIGHEST = -4.0, 4.4
CELL = 10.0


class SceneSample(NamedTuple):
    """A partial scan, its ground truth and where they come from, in the sensor frame, metre."""

    partial: Float32[np.ndarray, "p 3"]
    truth: Float32[np.ndarray, "n 3"]
    name: str


class Streets:
    """Samples of labelled sequences, by number; the maps are kept in memory.

    Args:
        directories: In SemanticKITTI's layout, real or simulated.
        partial_points: Points of the partial scan, LiDiff's networks take 18,000; None leaves
            all of them.
        truth_points: Points of the ground truth; None leaves all of them.
        seed: Of augmentation and of the choice of ground truth.
        training: Whether to augment, with LiDiff's filters for training; else its filters
            for evaluation.
        cache: Directory of the maps; else each lies beside its sequence's scans.
        columns: Names of a row's numbers in the scans; None: told from labels or content.
        radius: Points of scan and truth nearer than this to the sensor belong to a scene, metre.
    """

    def __init__(
        self,
        directories: Sequence[Path],
        partial_points: int | None = 18_000,
        truth_points: int | None = 180_000,
        seed: int = 0,
        training: bool = True,
        cache: Path | None = None,
        columns: tuple[str, ...] | None = None,
        radius: float = RADIUS,
    ):
        if not directories:
            raise FewstepError("no LiDAR sequences", expected="at least one directory")
        self.sequences = [open_sequence(each, columns=columns) for each in directories]
        self.maps = [load_map(each, _map_file(each, cache)) for each in self.sequences]
        self.ends = np.cumsum([len(each) for each in self.sequences])
        self.partial_points, self.truth_points = partial_points, truth_points
        self.seed, self.training, self.radius = seed, training, radius
        # Farthest point sampling dominates the cost, and no similarity changes its choice.
        self._unusable: set[tuple[int, int]] = set()
        self._partial = lru_cache(maxsize=4096)(self._sampled_scan)

    def __len__(self) -> int:
        return int(self.ends[-1])

    def sample(self, index: int) -> SceneSample:
        """Return sample ``index`` of an endless series, which depends on seed and index only.

        Scans come in order, again and again, each time with new draws; so an evaluation
        takes the indices below ``len``, and a training any.
        """
        return self._drawn(index, index)

    def _drawn(self, index: int, draws: int) -> SceneSample:
        """Return a sample of the scan of ``index``, with the draws of another."""
        rng = np.random.default_rng([self.seed, draws])
        which, scan = self._place(index % len(self))
        partial, truth = self._partial(which, scan), self._truth(which, scan)
        if self.training:
            matrix = draw_similarity(rng).astype(np.float32)
            partial, truth = partial @ matrix, truth @ matrix
        truth = truth[near_partial(truth, partial)]
        if self.truth_points is not None:
            truth = resampled(rng, truth, self.truth_points)
        return SceneSample(partial, truth, self._name(which, scan))

    def usable(self, index: int) -> SceneSample:
        """Return sample ``index``, if need be of the next scan that can be used; says it once.

        Raises:
            FewstepError: Of the scan, if there is none that can be used.
        """
        for tried in range(index, index + len(self)):
            try:
                return self._drawn(tried, index)
            except FewstepError as error:
                if tried == index + len(self) - 1:
                    raise
                if (place := self._place(tried % len(self))) not in self._unusable:
                    self._unusable.add(place)
                    _log.warning("%s is passed over: %s", self._name(*place), error)
        raise AssertionError("there is at least one scan")

    def names(self) -> dict[str, int]:
        """Return the index of each scan's sample by its name."""
        return {self._name(*self._place(index)): index for index in range(len(self))}

    def _name(self, which: int, scan: int) -> str:
        sequence = self.sequences[which]
        return f"{sequence.directory.name}_{sequence.scan_files[scan].stem}"

    def _place(self, index: int) -> tuple[int, int]:
        which = int(np.searchsorted(self.ends, index, side="right"))
        return which, index - (int(self.ends[which - 1]) if which else 0)

    def _sampled_scan(self, which: int, scan: int) -> Float32[np.ndarray, "p 3"]:
        sequence = self.sequences[which]
        # Labels that do not fit tell of a scan that was cut off.
        points, labels, dropped = sequence.labelled(scan)
        if dropped and not self.training:
            _log.warning(
                "%s: %d points are not finite and left out", self._name(which, scan), dropped
            )
        kept = _in_range(points, self.radius)
        if self.training:
            kept &= is_static(labels) & (points[:, 2] > LOWEST)
        if not kept.any():
            raise FewstepError(f"{sequence.scan_files[scan]} has no points left to sample")
        if self.partial_points is None:
            return points[kept]
        points = points[kept]
        if self.training:
            # The search looks at all points for each that it takes; the map has one per voxel too.
            points = points[first_per_voxel(points, VOXEL)]
        return farthest_points(points, self.partial_points)

    def _truth(self, which: int, scan: int) -> Float32[np.ndarray, "m 3"]:
        pose = self.sequences[which].poses[scan]
        near = self.maps[which].within(pose[:3, 3], self.radius)
        from_sensor = (near - pose[:3, 3].astype(near.dtype)).astype(np.float32)
        points = from_sensor @ pose[:3, :3].astype(np.float32)
        highest = np.inf if self.training else HIGHEST
        return points[(points[:, 2] > LOWEST) & (points[:, 2] < highest)]


def farthest_points(
    points: Float32[np.ndarray, "n 3"], count: int
) -> Float32[np.ndarray, "count 3"]:
    """Return ``count`` points, each the farthest from those before it, from the first on.

    Fewer than ``count`` different points, as where each is there twice, are repeated as a block,
    none of them more than once oftener than another.
    """
    import open3d

    if len(points) <= count:
        return points[np.arange(count) % len(points)]
    cloud = open3d.geometry.PointCloud(open3d.utility.Vector3dVector(points.astype(float)))
    found = np.asarray(cloud.farthest_point_down_sample(count).points).astype(np.float32)
    # Open3D takes each place once, so here all there are.
    return found[np.arange(count) % len(found)] if len(found) < count else found


def near_partial(
    truth: Float[np.ndarray, "n 3"], partial: Float[np.ndarray, "p 3"], cell: float = CELL
) -> Bool[np.ndarray, " n"]:
    """Tell which points lie in a cell, of 10 m by default, that holds a point of the scan.

    The grid starts half a cell below the partial scan's smallest coordinates, which is
    open3d's rule for voxel grids.
    """
    origin = partial.min(0) - cell / 2
    occupied = np.floor((partial - origin) / cell).astype(np.int32)
    # An empty layer all round, which takes all that lies outside.
    grid = np.zeros(occupied.max(0) + 3, dtype=bool)
    grid[tuple(occupied.T + 1)] = True
    cells = np.floor((truth - origin) / cell).astype(np.int32) + 1
    return grid.reshape(-1)[np.ravel_multi_index(tuple(cells.T), grid.shape, mode="clip")]


def resampled(
    rng: np.random.Generator, points: Float32[np.ndarray, "n 3"], count: int
) -> Float32[np.ndarray, "count 3"]:
    """Return ``count`` points in random order, each as often as any other, give or take one.

    LiDiff repeats each point in place and then cuts, which loses up to half of the points
    while it doubles the rest.
    """
    if not len(points):
        raise FewstepError("a scene has no ground truth near its scan", do="Check the poses")
    return points[rng.permutation(len(points))[np.arange(count) % len(points)]]


def near_sensor(
    points: Float32[np.ndarray, "n 3"], radius: float = RADIUS
) -> Float32[np.ndarray, "m 3"]:
    """Return the points between 3.5 m and ``radius``: nearer ones are of the own car."""
    return points[_in_range(points, radius)]


def _in_range(points: Float32[np.ndarray, "n 3"], radius: float) -> Bool[np.ndarray, " n"]:
    distance = np.linalg.norm(points, axis=1)
    return (distance > NEAREST) & (distance < radius)


def _map_file(sequence: KittiSequence, cache: Path | None) -> Path:
    if cache is None:
        return sequence.directory / "map_10cm.npz"
    return cache / f"{sequence.directory.name}_map_10cm.npz"
