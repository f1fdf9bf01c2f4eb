"""A simulated sequence on disk: SemanticKITTI's layout, and the exact surface beside it."""

from pathlib import Path

import numpy as np
from jaxtyping import Float, Int
from scipy.spatial.transform import Rotation

from domains.errors import FewstepError
from domains.files.provenance import atomic_directory
from domains.lidar.data.scene_map import is_static, moved
from domains.lidar.data.scene_sample import RADIUS, near_partial
from domains.lidar.simulator.sensor import (
    AZIMUTHS,
    HEIGHT,
    Device,
    Scan,
    Scene,
    scan_street,
)
from domains.lidar.simulator.street import Street, draw_street
from domains.lidar.simulator.surface import surface_points

__all__ = ["SURFACE_FILE", "simulate_sequence"]

SURFACE_FILE = "surface.npz"
SPACING = 0.1
# Truth is the surface within the range that is ever asked for, in such a cell of a return:
# what no scan could tell of is no part of it.
OBSERVED = 1.0
# Velodyne to camera: x right, y down, z ahead, as KITTI's files have it.
CAMERA = np.array(
    [[0.0, -1.0, 0.0, 0.0], [0.0, 0.0, -1.0, -0.05], [1.0, 0.0, 0.0, -0.3], [0, 0, 0, 1.0]]
)


def simulate_sequence(
    output: Path, seed: int, scans: int, azimuths: int = AZIMUTHS, surface: bool = True
) -> None:
    """Simulate a drive along one street and write it as a SemanticKITTI sequence.

    ``output`` appears whole or not at all: ``velodyne/*.bin``, ``labels/*.label``,
    ``poses.txt``, ``calib.txt`` and, as exact ground truth, ``surface.npz`` (``points`` in
    the first scan's frame, where a scan had a return within a metre, and ``labels``).

    Args:
        output: Directory of the sequence, such as ``sequences/00``; must not exist.
        seed: Decides everything.
        scans: Number of scans, at least 1.
        azimuths: Firings per turn; few make quick tests.
        surface: Whether the exact surface is wanted.

    Raises:
        FewstepError: The directory exists, or a number makes no sense.
    """
    if scans < 1 or azimuths < 8 or seed < 0:
        raise FewstepError(
            "can't simulate a sequence",
            expected="seed at least 0, at least 1 scan and 8 azimuths",
            got=f"seed {seed}, {scans} scans, {azimuths} azimuths",
        )
    if output.exists():
        raise FewstepError(f"{output} exists already", do="Name a new directory")
    with atomic_directory(output) as partial:
        _simulate(partial, seed, scans, azimuths, surface)


def _simulate(output: Path, seed: int, scans: int, azimuths: int, surface: bool) -> None:
    layout, sensor = (np.random.default_rng([seed, stream]) for stream in (0, 1))
    step = layout.uniform(0.8, 1.2)
    street = draw_street(layout, step * scans, step)
    poses = _drive(sensor, street, step, scans)
    returns, faces = _record(output, sensor, street, poses, azimuths)
    to_first = np.linalg.inv(poses[0])
    _write_poses(output, to_first @ poses)
    if surface:
        points, labels = surface_points(sensor, street.static, faces, SPACING)
        near = near_partial(points, returns, OBSERVED)
        np.savez_compressed(
            output / SURFACE_FILE,
            points=moved(points[near], to_first).astype(np.float32),
            labels=labels[near].astype(np.uint16),
        )


def _record(
    output: Path,
    rng: np.random.Generator,
    street: Street,
    poses: Float[np.ndarray, "s 4 4"],
    azimuths: int,
) -> tuple[Float[np.ndarray, "n 3"], Int[np.ndarray, " f"]]:
    """Write every scan; return all near, static returns in the world, and the faces seen."""
    device, static = Device.draw(rng), Scene.of(street.static)
    (output / "velodyne").mkdir()
    (output / "labels").mkdir()
    returns, seen = [], np.zeros(len(street.static.faces), dtype=bool)
    for index, pose in enumerate(poses):
        mesh = street.moving(index)
        moving = None if mesh is None else Scene.of(mesh)
        scan, faces = scan_street(rng, device, pose, static, moving, azimuths)
        seen[faces] = True
        near = is_static(scan.labels) & (np.linalg.norm(scan.points, axis=1) < RADIUS)
        returns.append(moved(scan.points[near], pose))
        _write_scan(output, index, scan)
    return np.concatenate(returns), np.flatnonzero(seen)


def _drive(
    rng: np.random.Generator, street: Street, step: float, scans: int
) -> Float[np.ndarray, "s 4 4"]:
    """Return the sensor's poses: it follows the lane and the slope, and sways a little."""
    s = step * np.arange(scans)
    road = street.road
    centre = road.at(s, street.lane)
    # Between the axles, 2.6 m apart, and between the wheels, 1.6 m apart.
    ahead = road.at(s + 1.3, street.lane) - road.at(s - 1.3, street.lane)
    left = road.at(s, street.lane + 0.8) - road.at(s, street.lane - 0.8)
    load = Rotation.from_rotvec(rng.normal(0.0, [0.006, 0.006, 0.0], (1, 3)))
    poses = np.tile(np.eye(4), (scans, 1, 1))
    x = ahead / np.linalg.norm(ahead, axis=1, keepdims=True)
    z = np.cross(x, left)
    z /= np.linalg.norm(z, axis=1, keepdims=True)
    frame = np.stack([x, np.cross(z, x), z], -1)
    sway = Rotation.from_rotvec(rng.normal(0.0, [0.003, 0.003, 0.001], (scans, 3)))
    poses[:, :3, :3] = frame @ (sway * load).as_matrix()
    poses[:, :3, 3] = centre + HEIGHT * z
    return poses


def _write_scan(output: Path, index: int, scan: Scan) -> None:
    rows = np.column_stack([scan.points, scan.intensity]).astype("<f4")
    rows.tofile(output / "velodyne" / f"{index:06d}.bin")
    scan.labels.astype("<u4").tofile(output / "labels" / f"{index:06d}.label")


def _write_poses(output: Path, poses: Float[np.ndarray, "s 4 4"]) -> None:
    """Write the poses as KITTI does: of the camera, in the first camera's frame."""
    camera = CAMERA @ poses @ np.linalg.inv(CAMERA)
    np.savetxt(output / "poses.txt", camera[:, :3].reshape(-1, 12), fmt="%.12e")
    row = " ".join(f"{value:.12e}" for value in CAMERA[:3].reshape(-1))
    (output / "calib.txt").write_text(f"Tr: {row}\n")
