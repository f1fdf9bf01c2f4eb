"""A sequence in SemanticKITTI's layout: scans, labels and the poses of the sensor.

``sequences/XX`` holds ``velodyne/*.bin``, ``labels/*.label``, ``poses.txt`` and ``calib.txt``
(Behley et al. 2019, http://www.semantic-kitti.org/dataset.html). The poses file is the
camera's; the sensor's pose is Tr^-1 P Tr.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Float32, Int, UInt32

from domains.errors import FewstepError
from domains.lidar.data.scan_order import belongs, in_number_order
from domains.lidar.files import Scan, read_scan
from domains.lidar.files.kitti_bin import COLUMNS

__all__ = ["NEAR", "KittiSequence", "LabelledScan", "open_sequence"]

NEAR = 4096.0  # metre; up to here float32 rounds by less than a quarter of a millimetre
FARTHEST = 1e8  # metre; maps of countries count from as far as 10⁷ m away


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
        label_files: One per scan; empty when it was opened without labels.
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
        """Return the usable points of one scan and their labels.

        Raises:
            FewstepError: The scan can't be used, or the file of labels doesn't have one for each
                of its points, usable or not.
        """
        scan, path = self._scan(index), self.label_files[index]
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
        labelled: Whether labels are needed.
        columns: Names of a row's numbers in the scans; None: told from labels or content.

    Raises:
        FewstepError: A file is missing, doesn't parse, or counts disagree; it names the file.
    """
    scans = _files(directory, "velodyne", ".bin")
    labels = _files(directory, "labels", ".label") if labelled else ()
    camera = _read_poses(directory / "poses.txt")
    _same_count(directory / "poses.txt", len(camera), len(scans))
    if labelled:
        _same_count(directory / "labels", len(labels), len(scans))
        for scan, label in zip(scans, labels, strict=True):
            if scan.stem != label.stem:
                raise FewstepError(f"no labels for {scan}", got=f"{label.name} in its place")
    to_camera = _read_calibration(directory / "calib.txt")
    poses, origin = _near_origin(np.linalg.inv(to_camera) @ camera @ to_camera)
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


def _read_poses(path: Path) -> Float[np.ndarray, "s 4 4"]:
    rows = [line for line in _read_lines(path) if line.strip()]
    return np.stack([_matrix(path, line) for line in rows]) if rows else np.zeros((0, 4, 4))


def _read_calibration(path: Path) -> Float[np.ndarray, "4 4"]:
    """Return the transform from the sensor to the camera."""
    for line in _read_lines(path):
        name, _, values = line.partition(":")
        if name.strip() == "Tr":
            return _matrix(path, values)
    raise FewstepError(f"{path} has no calibration", expected="a line 'Tr: ' with 12 numbers")


def _read_lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="ascii").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise FewstepError(f"can't read {path}", got=type(error).__name__) from error


def _matrix(path: Path, text: str) -> Float[np.ndarray, "4 4"]:
    """Parse the upper three rows of a rigid motion."""
    try:
        values = np.array([float(word) for word in text.split()])
    except ValueError:
        values = np.empty(0)
    if len(values) != 12:
        raise FewstepError(
            f"{path} doesn't parse", expected="12 numbers a line", got=repr(text.strip()[:60])
        )
    matrix = np.vstack([values.reshape(3, 4), [0.0, 0.0, 0.0, 1.0]])
    turn = matrix[:3, :3]
    # Also false for NaN. KITTI's files hold six digits and more.
    near = np.abs(matrix).max() < FARTHEST
    rigid = near and np.abs(turn @ turn.T - np.eye(3)).max() < 1e-3 and np.linalg.det(turn) > 0
    if not rigid:
        raise FewstepError(
            f"{path} holds a matrix that is no rigid motion on Earth", got=repr(text.strip()[:60])
        )
    return matrix
