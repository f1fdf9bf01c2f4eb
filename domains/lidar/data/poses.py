"""Poses of the sensor: KITTI's and TUM's files, as KITTI, SemanticKITTI and KISS-ICP write them."""

import logging
from pathlib import Path

import numpy as np
from jaxtyping import Float
from scipy.spatial.transform import Rotation

from domains.errors import FewstepError

__all__ = ["sensor_poses"]

_log = logging.getLogger(__name__)
FARTHEST = 1e8  # metre; maps of countries count from as far as 10⁷ m away
# KISS-ICP names them after the sequence.
_NAMES = ("poses.txt", "*_poses_kitti.txt", "*_poses_tum.txt")


def sensor_poses(directory: Path) -> tuple[Path, Float[np.ndarray, "s 4 4"]]:
    """Return the file of a sequence's poses, and the poses of its sensor.

    The file is ``poses.txt``, KISS-ICP's ``*_poses_kitti.txt`` or ``*_poses_tum.txt``, or, in the
    layout of KITTI's odometry, ``poses/XX.txt`` beside ``sequences``. Each line has the upper three
    rows of a rigid motion (KITTI), or timestamp, place and quaternion (TUM).
    With a ``calib.txt`` beside it they are the camera's, as in KITTI, and the sensor's are
    Tr⁻¹ P Tr; without, they are the sensor's own, as of an odometry of the scans.

    Raises:
        FewstepError: There is no such file or more than one, or a line doesn't parse.
    """
    path = _only(directory)
    poses = _read_poses(path)
    if not (directory / "calib.txt").exists():
        _log.info("%s: without a calib.txt, its poses are taken for the sensor's own", directory)
        return path, poses
    to_camera = _read_calibration(directory / "calib.txt")
    return path, np.linalg.inv(to_camera) @ poses @ to_camera


def _only(directory: Path) -> Path:
    for name in _NAMES:
        found = sorted(directory.glob(name))
        if len(found) > 1:
            raise FewstepError(f"{directory} has several files {name}", do="Keep one of them")
        if found:
            return found[0]
    odometry = directory.parent.parent / "poses" / f"{directory.name}.txt"
    if odometry.exists():
        return odometry
    raise FewstepError(
        f"no poses in {directory}", expected=" or ".join(_NAMES), do="Estimate them (KISS-ICP)"
    )


def _read_poses(path: Path) -> Float[np.ndarray, "s 4 4"]:
    rows = [line for line in _read_lines(path) if line.strip() and not line.startswith("#")]
    parse = _from_quaternion if rows and len(rows[0].split()) == 8 else _matrix
    return np.stack([parse(path, line) for line in rows]) if rows else np.zeros((0, 4, 4))


def _from_quaternion(path: Path, text: str) -> Float[np.ndarray, "4 4"]:
    """Parse TUM's row: timestamp, place, and the quaternion x, y, z, w."""
    try:
        values = np.array([float(word) for word in text.split()])
        assert len(values) == 8 and np.isfinite(values).all()
        turn = Rotation.from_quat(values[4:]).as_matrix()
    except (AssertionError, ValueError):
        raise FewstepError(
            f"{path} doesn't parse",
            expected="timestamp, x, y, z and a quaternion a line (TUM)",
            got=repr(text.strip()[:60]),
        ) from None
    return _rigid(path, text, np.column_stack([turn, values[1:4]]))


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
            f"{path} doesn't parse",
            expected="12 numbers a line, or 8 (TUM)",
            got=repr(text.strip()[:60]),
        )
    return _rigid(path, text, values.reshape(3, 4))


def _rigid(path: Path, text: str, upper: Float[np.ndarray, "3 4"]) -> Float[np.ndarray, "4 4"]:
    """Return the motion with its last row, if it is one."""
    matrix = np.vstack([upper, [0.0, 0.0, 0.0, 1.0]])
    turn = matrix[:3, :3]
    # Also false for NaN. KITTI's files hold six digits and more.
    near = np.abs(matrix).max() < FARTHEST
    rigid = near and np.abs(turn @ turn.T - np.eye(3)).max() < 1e-3 and np.linalg.det(turn) > 0
    if not rigid:
        raise FewstepError(
            f"{path} holds a matrix that is no rigid motion on Earth", got=repr(text.strip()[:60])
        )
    return matrix
