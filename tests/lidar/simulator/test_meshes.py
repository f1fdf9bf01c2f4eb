"""Contract: shapes have the size they were asked for, and sampling is uniform by area."""

import numpy as np
import pytest

from domains.lidar.simulator.meshes import (
    Mesh,
    box,
    cylinder,
    merged,
    patch,
    placed,
    prism,
    repeated,
)
from domains.lidar.simulator.surface import surface_points


def area(mesh: Mesh) -> float:
    a, b, c = mesh.vertices[mesh.faces].transpose(1, 0, 2)
    return float(np.linalg.norm(np.cross(b - a, c - a), axis=1).sum() / 2)


def test_areas() -> None:
    assert area(box(2.0, 3.0, 4.0, 1, 0.5)) == pytest.approx(2 * (6 + 8 + 12))
    assert area(cylinder(1.0, 2.0, 1, 0.5, sides=400)) == pytest.approx(4 * np.pi, rel=1e-3)
    triangle = np.array([[0.0, 0.0], [3.0, 0.0], [0.0, 4.0]])
    assert area(prism(triangle, 2.0, 1, 0.5)) == pytest.approx(2 * 6 + 2 * (3 + 4 + 5))


def test_placing_keeps_the_shape() -> None:
    mesh = box(2.0, 1.0, 1.0, 1, 0.5)
    turned = placed(mesh, np.array([1.0, 2.0, 3.0]), np.pi / 2)
    assert area(turned) == pytest.approx(area(mesh))
    # What lay along x lies along y.
    np.testing.assert_allclose(np.ptp(turned.vertices, axis=0), [1.0, 2.0, 1.0], atol=1e-12)
    np.testing.assert_allclose(turned.vertices.mean(0), [1.0, 2.0, 3.5], atol=1e-12)


def test_merging_keeps_every_face_and_what_it_is() -> None:
    one, other = box(1.0, 1.0, 1.0, 7, 0.2), cylinder(1.0, 1.0, 9, 0.4)
    both = merged([one, other])
    assert area(both) == pytest.approx(area(one) + area(other))
    assert both.labels.tolist() == [7] * len(one.faces) + [9] * len(other.faces)
    assert both.reflectivity[-1] == 0.4


def test_copies_are_moved_and_stay_apart() -> None:
    offsets = np.array([[0.0, 0, 0], [5, 0, 0], [0, 7, 0]])
    mesh = repeated(box(1.0, 1.0, 1.0, 7, 0.2), offsets)
    assert area(mesh) == pytest.approx(3 * 6)
    np.testing.assert_allclose(np.ptp(mesh.vertices, axis=0), [6, 8, 1])


def test_samples_are_uniform_lie_on_the_surface_and_keep_their_label() -> None:
    corners = np.array([[[0.0, 0, 1], [0, 4, 1]], [[8, 0, 1], [8, 4, 1]]])
    mesh = merged([patch(corners, 7, 0.5), box(1.0, 1.0, 1.0, 9, 0.5)])
    points, labels = surface_points(np.random.default_rng(0), mesh, np.array([0, 1]), 0.1)
    assert set(labels) == {7}
    np.testing.assert_allclose(points[:, 2], 1.0)
    # 40 x 80 voxels of which exp(-4) stay empty.
    assert len(points) == pytest.approx(3200 * (1 - np.exp(-4)), rel=0.02)
    counts = np.histogram2d(points[:, 0], points[:, 1], [8, 4], [[0, 8], [0, 4]])[0]
    assert counts.min() > 85
    _, one = np.unique(np.floor(points / 0.1), axis=0, return_counts=True)
    assert one.max() == 1
