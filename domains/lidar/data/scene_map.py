"""The map of a sequence: what stands still, one point per 0.1 m voxel, in linear time.

LiDiff's rule (Nunes et al. 2024): of all scans, the points with label 2-251 and range above
3.5 m, moved by the pose; of the points of a voxel the first is kept. Moving objects (252 and
above) are left out.
"""

import hashlib
import logging
from pathlib import Path
from typing import NamedTuple
from zipfile import BadZipFile

import numpy as np
from jaxtyping import Bool, Float, Float32, Int

from domains.errors import FewstepError
from domains.files.provenance import atomic_path
from domains.lidar.data.semantic_kitti import NEAR, KittiSequence

__all__ = ["SceneMap", "build_map", "first_per_voxel", "is_static", "load_map", "moved"]

_log = logging.getLogger(__name__)

VOXEL = 0.1
# Nearer returns are of the car that carries the sensor.
NEAREST = 3.5
STATIC = (2, 251)
TILE = 10.0


class SceneMap(NamedTuple):
    """Points of a map, sorted by tiles of 10 m, so that a neighbourhood is read in parts.

    Attributes:
        points: In the frame of the sequence's poses, metre; in float64 where these go so far that
            float32 would round by more than a quarter of a millimetre.
        tiles: Tile of each run of points, sorted.
        starts: First row of each run, and at last the number of points.
    """

    points: Float[np.ndarray, "m 3"]
    tiles: Int[np.ndarray, "t 2"]
    starts: Int[np.ndarray, " t_1"]

    @classmethod
    def of(cls, points: Float[np.ndarray, "m 3"]) -> "SceneMap":
        """Sort points into tiles."""
        tile = np.floor(points[:, :2] / TILE).astype(np.int32)
        order = np.lexsort((tile[:, 1], tile[:, 0]))
        tiles, starts = np.unique(tile[order], axis=0, return_index=True)
        return cls(narrowed(points)[order], tiles, np.append(starts, len(points)))

    def within(self, centre: Float[np.ndarray, " 3"], radius: float) -> Float[np.ndarray, "k 3"]:
        """Return the points nearer to ``centre`` than ``radius`` metres."""
        low, high = (np.floor((centre[:2] + r) / TILE) for r in (-radius, radius))
        near = np.flatnonzero(((self.tiles >= low) & (self.tiles <= high)).all(1))
        rows = [self.points[self.starts[i] : self.starts[i + 1]] for i in near]
        points = np.concatenate([self.points[:0], *rows])
        away = points - centre.astype(points.dtype)
        return points[np.einsum("nc,nc->n", away, away) < radius**2]


def load_map(sequence: KittiSequence, cache: Path) -> SceneMap:
    """Return the map of a sequence, from ``cache`` when it was built of the same files.

    Args:
        sequence: With labels.
        cache: An ``.npz`` file, written when it is absent or of other inputs.

    Raises:
        FewstepError: The file is damaged or can't be written, or there is nothing to map.
    """
    checksum = input_checksum(sequence)
    points = _read_cache(cache, checksum)
    if points is None:
        points = build_map(sequence)
        _write_cache(cache, points, sequence.origin, checksum)
    return SceneMap.of(points)


def build_map(sequence: KittiSequence) -> Float[np.ndarray, "m 3"]:
    """Return the map's points, in order of their first hit, in the frame of the poses.

    Voxels seen before are looked up in a hash table, so a scan costs the same whether it is
    the first or the last. Scans that can't be read are left out with a warning.

    Raises:
        FewstepError: No point of the sequence belongs into a map.
    """
    import open3d

    device = open3d.core.Device("CPU:0")
    known = open3d.core.HashSet(1 << 20, open3d.core.int32, open3d.core.SizeVector([3]), device)
    parts, lost = [], {}
    for index in range(len(sequence)):
        points, lost[index] = _static_points(sequence, index)
        placed = moved(points, sequence.poses[index])
        placed = placed[first_per_voxel(placed, VOXEL)]
        if len(placed):
            keys = np.floor(placed / VOXEL).astype(np.int32)
            _, new = known.insert(open3d.core.Tensor.from_numpy(keys))
            parts.append(placed[new.numpy()])
    if not parts:
        raise FewstepError(f"{sequence.directory} has no static points", do="Check its labels")
    if any(lost.values()):
        where = f"in {sum(map(bool, lost.values()))} scans of {sequence.directory}"
        _log.warning("%d points %s are not finite and left out", sum(lost.values()), where)
    return narrowed(np.concatenate(parts))


def _static_points(sequence: KittiSequence, index: int) -> tuple[Float32[np.ndarray, "k 3"], int]:
    """Return the points that a scan adds to the map, and the count of its non-finite ones.

    One that can't be read adds nothing, and is named.
    """
    try:
        points, labels, dropped = sequence.labelled(index)
    except FewstepError as error:
        _log.warning("left out of the map of %s: %s", sequence.directory, error)
        return np.empty((0, 3), dtype=np.float32), 0
    return points[is_static(labels) & (np.linalg.norm(points, axis=1) > NEAREST)], dropped


def narrowed(points: Float[np.ndarray, "m 3"]) -> Float[np.ndarray, "m 3"]:
    """Return points in float32 if that rounds none by more than a quarter of a millimetre."""
    near = not len(points) or np.abs(points).max() < NEAR
    return points.astype(np.float32 if near else np.float64)


def is_static(labels: Int[np.ndarray, " n"]) -> Bool[np.ndarray, " n"]:
    """Tell which points belong into a map: labelled, no outlier, not moving."""
    return (labels >= STATIC[0]) & (labels <= STATIC[1])


def moved(
    points: Float[np.ndarray, "n 3"], pose: Float[np.ndarray, "4 4"]
) -> Float[np.ndarray, "n 3"]:
    """Return the points after a rigid motion, in float64."""
    return points @ pose[:3, :3].T + pose[:3, 3]


def first_per_voxel(points: Float[np.ndarray, "n 3"], size: float) -> Int[np.ndarray, " k"]:
    """Return the row of the first point of each occupied voxel, ascending."""
    cells = np.floor(points / size).astype(np.int64)
    if not len(cells):
        return np.zeros(0, dtype=np.int64)
    cells -= cells.min(0)
    # One number per voxel sorts ten times faster than rows of three.
    key = np.ravel_multi_index(tuple(cells.T), tuple(cells.max(0) + 1))
    return np.sort(np.unique(key, return_index=True)[1])


def input_checksum(sequence: KittiSequence) -> str:
    """Return a checksum of what a map depends on: poses, and each file's size and time.

    The contents of the scans are not read: that would cost as much as the map itself.
    """
    digest = hashlib.sha256(f"voxel {VOXEL} range {NEAREST} labels {STATIC}".encode())
    digest.update(sequence.poses.tobytes())
    if sequence.origin.any() or np.abs(sequence.poses[:, :3, 3]).max() >= NEAR:
        digest.update(b"float64 from " + sequence.origin.tobytes())
    if sequence.columns is not None:
        digest.update(" ".join(sequence.columns).encode())
    for path in sequence.scan_files + sequence.label_files:
        about = path.stat()
        digest.update(f"{path.name} {about.st_size} {about.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def _write_cache(
    cache: Path,
    points: Float[np.ndarray, "m 3"],
    origin: Float[np.ndarray, " 3"],
    checksum: str,
) -> None:
    """Write a map; ``points`` + ``origin`` are in the frame of the poses file."""
    try:
        with atomic_path(cache) as temporary, temporary.open("wb") as file:
            np.savez(file, points=points, origin=origin, checksum=np.array(checksum))
    except FewstepError as error:
        raise FewstepError(
            f"can't write the map {cache}",
            got=error.__cause__,
            do="Give a directory for the maps that can be written",
        ) from error


def _read_cache(cache: Path, checksum: str) -> Float[np.ndarray, "m 3"] | None:
    if not cache.is_file():
        return None
    try:
        with np.load(cache) as stored:
            return stored["points"] if str(stored["checksum"]) == checksum else None
    except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
        raise FewstepError(
            f"can't read the map {cache}", got=str(error)[:100], do="Delete it"
        ) from error
