"""Contract: returns lie where rays meet the mesh, and get fewer as they get fainter."""

import numpy as np
import pytest

from domains.lidar.simulator.labels import Label
from domains.lidar.simulator.meshes import box, merged, patch, placed
from domains.lidar.simulator.sensor import ELEVATIONS, Device, Scan, Scene, scan_street

pytestmark = pytest.mark.usefixtures("open3d")

UPRIGHT = Device(np.zeros(64), np.eye(3))


def plane(height: float) -> Scene:
    corners = [[[x, y, height] for y in (-200.0, 200.0)] for x in (-200.0, 200.0)]
    return Scene.of(patch(np.array(corners), Label.ROAD, 0.22))


def scan(static: Scene, moving: Scene | None = None, azimuths: int = 200) -> Scan:
    rng = np.random.default_rng(0)
    return scan_street(rng, UPRIGHT, np.eye(4), static, moving, azimuths)[0]


def test_the_two_blocks_of_beams() -> None:
    degrees = np.degrees(ELEVATIONS)
    assert len(degrees) == 64
    np.testing.assert_allclose(np.diff(degrees[:32]), -1 / 3, atol=1e-3)
    np.testing.assert_allclose(np.diff(degrees[32:]), -0.5, atol=1e-3)


def test_flat_ground_is_seen_flat_and_not_beyond_its_reach() -> None:
    points = scan(plane(-1.73)).points
    assert np.abs(points[:, 2] + 1.73).max() < 0.03
    distance = np.linalg.norm(points, axis=1)
    assert distance.min() > 4.0
    # Asphalt is lost at about 45 m.
    assert 25 < np.quantile(distance, 0.999) < 80
    steep = ELEVATIONS[np.radians(-7) > ELEVATIONS]
    gaps = [np.abs(distance - 1.73 / np.sin(-up)).min() for up in steep]
    assert max(gaps) < 0.02


def test_the_pose_is_that_of_the_sensor() -> None:
    """A wall 10 m ahead of a sensor that looks to -y stands at x = 10 in its frame."""
    pose = np.eye(4)
    pose[:3, :3] = [[0, 1, 0], [-1, 0, 0], [0, 0, 1]]
    pose[:3, 3] = [5.0, 3.0, 1.0]
    wall = placed(box(8.0, 0.1, 6.0, Label.BUILDING, 0.5), np.array([5.0, -7.05, -2.0]))
    seen, faces = scan_street(
        np.random.default_rng(0), UPRIGHT, pose, Scene.of(wall), None, azimuths=400
    )
    assert len(seen.points) > 100
    assert np.median(seen.points[:, 0]) == pytest.approx(10.0, abs=0.02)
    assert set(seen.labels) == {Label.BUILDING}
    assert 0 < len(faces) < len(wall.faces)


def test_what_moves_hides_what_stands() -> None:
    car = placed(box(4.0, 2.0, 1.5, Label.MOVING_CAR, 0.5), np.array([8.0, 0.0, -1.73]))
    seen = scan(plane(-1.73), Scene.of(car))
    moving = seen.labels == Label.MOVING_CAR
    assert moving.sum() > 50
    inside = (np.abs(seen.points[:, 0] - 8) < 1.8) & (np.abs(seen.points[:, 1]) < 0.9)
    assert moving[inside].all()
    assert len(seen.points) == len(seen.labels) == len(seen.intensity)


def test_glass_and_slanting_surfaces_return_less() -> None:
    ball = np.linspace(0, 2 * np.pi, 200)

    def ring(reflectivity: float) -> Scene:
        low, high = (
            np.stack([30 * np.cos(ball), 30 * np.sin(ball), np.full(200, z)], -1) for z in (-20, 5)
        )
        return Scene.of(patch(np.stack([low, high]), Label.BUILDING, reflectivity))

    shares = [len(scan(ring(value)).points) for value in (0.5, 0.002, 0.0)]
    assert shares[0] > 1.5 * shares[1] > 0
    assert shares[2] == 0


def test_beams_keep_their_bias_and_the_mount_turns_them() -> None:
    rng = np.random.default_rng(3)
    device = Device.draw(rng)
    np.testing.assert_allclose(device.mount @ device.mount.T, np.eye(3), atol=1e-12)
    off = Device(np.full(64, 0.5), np.eye(3))
    far, _ = scan_street(np.random.default_rng(0), off, np.eye(4), plane(-1.73), None, 50)
    expected = -1.73 - 0.5 * 1.73 / (np.linalg.norm(far.points, axis=1) - 0.5)
    np.testing.assert_allclose(far.points[:, 2], expected, atol=0.03)


def test_the_nearest_of_two_meshes_is_seen() -> None:
    near = box(1.0, 1.0, 3.0, Label.POLE, 0.5)
    both = merged([placed(near, np.array([5.0, 0, -1.7])), placed(near, np.array([9.0, 0, -1.7]))])
    x = scan(Scene.of(both)).points[:, 0]
    assert len(x) > 0
    assert x.max() < 6.0
