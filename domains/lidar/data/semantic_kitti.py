"""A sequence in SemanticKITTI's layout: scans, labels and the poses of the sensor.

``sequences/XX`` holds ``velodyne/*.bin``, ``labels/*.label``, and the poses with or without a
``calib.txt`` (Behley et al. 2019, http://www.semantic-kitti.org/dataset.html; see
``sensor_poses``). KITTI's own odometry sequences and a user's drives have no labels: then
all points count as standing still, and what moved leaves a trail in the map.
"""

import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Float32, Int, UInt32

from domains.errors import FewstepError
from domains.lidar.data.poses import sensor_poses
from domains.lidar.data.scan_order import belongs, in_number_order
from domains.lidar.files import Scan, read_scan
from domains.lidar.files.kitti_bin import COLUMNS

__all__ = ["NEAR", "UNLABELLED", "KittiSequence", "LabelledScan", "open_sequence"]

NEAR = 4096.0  # metre; up to here float32 rounds by less than a quarter of a millimetre
# A label of what stands still.
UNLABELLED = 2
_log = logging.getLogger(__name__)


class LabelledScan(NamedTuple):
    """The usable points of a scan in the sensor frame, metre.

    Attributes:
        points: Finite.
        labels: One for each.
        dropped: Number of points that are not finite.
    """

    points: Float32[np.ndarray, "n 3"]
    labels: Int[np.ndarray, " n"]
    dropped: int


@dataclass(frozen=True)
class KittiSequence:
    """A sequence whose files were found and agree in number.

    Attributes:
        directory: Where it lies.
        poses: Sensor to the frame of the poses file, whose origin is moved to ``origin``.
        scan_files: One per scan.
        label_files: One per scan; empty where there are none, or it was opened without.
        columns: Names of a row's numbers in the scans; None: told from labels or content.
        origin: What was subtracted from the poses' places, metre: of maps in coordinates of the
            Earth the first pose's place, else 0.
    """

    directory: Path
    poses: Float[np.ndarray, "s 4 4"]
    scan_files: tuple[Path, ...]
    label_files: tuple[Path, ...]
    columns: tuple[str, ...] | None = None
    origin: Float[np.ndarray, " 3"] = field(default_factory=lambda: np.zeros(3))

    def __len__(self) -> int:
        return len(self.scan_files)

    def points(self, index: int) -> Float32[np.ndarray, "n 3"]:
        """Return the usable points of one scan in the sensor frame, metre.

        Raises:
            FewstepError: The file is damaged, empty, or holds no points that can be used.
        """
        return self._scan(index).points

    def labels(self, index: int) -> Int[np.ndarray, " n"]:
        """Return the label of each usable point, without the object number in the upper bits.

        Raises:
            FewstepError: As of ``labelled``.
        """
        return self.labelled(index).labels

    def labelled(self, index: int) -> LabelledScan:
        """Return the usable points of one scan and their labels; ``UNLABELLED`` without any.

        Raises:
            FewstepError: The scan can't be used, or the file of labels doesn't have one for each
                of its points, usable or not.
        """
        scan = self._scan(index)
        if not self.label_files:
            labels = np.full(len(scan.points), UNLABELLED, dtype=np.int32)
            return LabelledScan(scan.points, labels, scan.dropped)
        path = self.label_files[index]
        values = _read_labels(path)
        if len(values) != len(scan.kept):
            raise FewstepError(
                f"{path} doesn't fit its scan",
                expected=f"{len(scan.kept)} labels",
                got=len(values),
            )
        labels = (values[scan.kept] & 0xFFFF).astype(np.int32)
        return LabelledScan(scan.points, labels, scan.dropped)

    def _scan(self, index: int) -> Scan:
        """Return a scan; the number of its labels tells the width of its rows."""
        count = len(_read_labels(self.label_files[index])) if self.label_files else None
        return read_scan(self.scan_files[index], self.columns, count, len(COLUMNS))


def open_sequence(
    directory: Path, labelled: bool = True, columns: tuple[str, ...] | None = None
) -> KittiSequence:
    """Find the files of a sequence and check that they agree; no scan is read yet.

    Args:
        directory: Such as ``sequences/00``.
        labelled: Whether labels are used, where the sequence has any.
        columns: Names of a row's numbers in the scans; None: told from labels or content.

    Raises:
        FewstepError: A file is missing, doesn't parse, or counts disagree; it names the file.
    """
    scans = _files(directory, "velodyne", ".bin")
    has_labels = labelled and (directory / "labels").is_dir()
    labels = _files(directory, "labels", ".label") if has_labels else ()
    path, poses = sensor_poses(directory)
    _same_count(path, len(poses), len(scans))
    if has_labels:
        _same_count(directory / "labels", len(labels), len(scans))
        for scan, label in zip(scans, labels, strict=True):
            if scan.stem != label.stem:
                raise FewstepError(f"no labels for {scan}", got=f"{label.name} in its place")
    elif labelled:
        _log.warning("%s has no labels: what moved leaves a trail in its map", directory)
    poses, origin = _near_origin(poses)
    return KittiSequence(directory, poses, scans, labels, columns, origin)


def _near_origin(
    poses: Float[np.ndarray, "s 4 4"],
) -> tuple[Float[np.ndarray, "s 4 4"], Float[np.ndarray, " 3"]]:
    """Return poses counted from the first one, if that is far away, and what was subtracted.

    In float32 a map is exact to a millimetre only near its origin; coordinates of the Earth
    (UTM, MGRS, ECEF) have theirs up to 6,400 km away.
    """
    origin = poses[0, :3, 3].copy()
    if np.abs(origin).max() < NEAR:
        return poses, np.zeros(3)
    poses = poses.copy()
    poses[:, :3, 3] -= origin
    return poses, origin


def _files(directory: Path, part: str, suffix: str) -> tuple[Path, ...]:
    """Return the files of a part in the order of their numbers; hidden ones are not its."""
    place = directory / part
    found = [path for path in place.iterdir() if belongs(path, (suffix,))] if place.is_dir() else []
    if not found:
        raise FewstepError(
            f"no {part}/*{suffix} in {directory}", do="Give a directory in SemanticKITTI's layout"
        )
    return in_number_order(found)


def _read_labels(path: Path) -> UInt32[np.ndarray, " n"]:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise FewstepError(f"can't read {path}", got=error.strerror) from error
    if len(data) % 4:
        raise FewstepError(f"{path} holds no labels of 4 bytes", got=f"{len(data)} bytes")
    return np.frombuffer(data, "<u4")


def _same_count(path: Path, count: int, scans: int) -> None:
    if count != scans:
        raise FewstepError(
            f"{path} doesn't fit the scans", expected=f"{scans} entries, one per scan", got=count
        )
