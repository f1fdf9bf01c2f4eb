"""A sequence in SemanticKITTI's layout: scans, labels and the poses of the sensor.

``sequences/XX`` holds ``velodyne/*.bin``, ``labels/*.label``, ``poses.txt`` and ``calib.txt``
(Behley et al. 2019, http://www.semantic-kitti.org/dataset.html). The poses file is the
camera's; the sensor's pose is Tr^-1 P Tr.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Float32, Int

from domains.errors import FewstepError
from domains.lidar.files import read_points

__all__ = ["KittiSequence", "open_sequence"]

FARTHEST = 1e8  # metre; maps of countries count from as far as 10⁷ m away


@dataclass(frozen=True)
class KittiSequence:
    """A sequence whose files were found and agree in number.

    Attributes:
        directory: Where it lies.
        poses: Sensor to the first scan's frame.
        scan_files: One per scan.
        label_files: One per scan; empty when it was opened without labels.
    """

    directory: Path
    poses: Float[np.ndarray, "s 4 4"]
    scan_files: tuple[Path, ...]
    label_files: tuple[Path, ...]

    def __len__(self) -> int:
        return len(self.scan_files)

    def points(self, index: int) -> Float32[np.ndarray, "n 3"]:
        """Return the points of one scan in the sensor frame, metre.

        Raises:
            FewstepError: The file is damaged, empty, or holds points that can't be used.
        """
        return read_points(self.scan_files[index])

    def labels(self, index: int) -> Int[np.ndarray, " n"]:
        """Return the label of each point, without the object number in the upper bits.

        Raises:
            FewstepError: The file doesn't have one label for each point of the scan.
        """
        path = self.label_files[index]
        values = np.fromfile(path, dtype="<u4")
        points = self.scan_files[index].stat().st_size / 16
        if len(values) != points:
            raise FewstepError(
                f"{path} doesn't fit its scan", expected=f"{points:g} labels", got=len(values)
            )
        return (values & 0xFFFF).astype(np.int32)


def open_sequence(directory: Path, labelled: bool = True) -> KittiSequence:
    """Find the files of a sequence and check that they agree; no scan is read yet.

    Args:
        directory: Such as ``sequences/00``.
        labelled: Whether labels are needed.

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
    return KittiSequence(directory, np.linalg.inv(to_camera) @ camera @ to_camera, scans, labels)


def _files(directory: Path, part: str, suffix: str) -> tuple[Path, ...]:
    found = tuple(sorted((directory / part).glob(f"*{suffix}")))
    if not found:
        raise FewstepError(
            f"no {part}/*{suffix} in {directory}", do="Give a directory in SemanticKITTI's layout"
        )
    return found


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
