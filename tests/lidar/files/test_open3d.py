"""Contract: open3d reads what we write, and we read what open3d writes, bit for bit.

Text is equal to the digits that open3d writes: 10 in PCD, 6 in PLY.
"""

from pathlib import Path

import numpy as np
import pytest

from domains.lidar.files import read_points, write_points

pytestmark = pytest.mark.usefixtures("open3d")


def street(count: int = 3000) -> np.ndarray:
    """Return points with repeated values, so that compression has something to copy."""
    points = np.random.default_rng(1).normal(scale=20.0, size=(count, 3)).astype(np.float32)
    points[:, 2] = np.round(points[:, 2])
    points[count // 2 :, 0] = 1.5
    return points


@pytest.mark.parametrize("suffix", [".ply", ".pcd"])
def test_open3d_reads_what_we_write(tmp_path: Path, suffix: str) -> None:
    import open3d

    points = street()
    write_points(tmp_path / f"a{suffix}", points)
    cloud = open3d.t.io.read_point_cloud(tmp_path / f"a{suffix}")
    assert cloud.point.positions.dtype == open3d.core.float32
    np.testing.assert_array_equal(cloud.point.positions.numpy(), points)


@pytest.mark.parametrize(
    ("name", "encoding", "tolerance"),
    [
        ("binary.ply", {}, 0.0),
        ("text.ply", {"write_ascii": True}, 1e-5),
        ("binary.pcd", {}, 0.0),
        ("text.pcd", {"write_ascii": True}, 1e-9),
        ("packed.pcd", {"compressed": True}, 0.0),
        ("packed_text.pcd", {"write_ascii": True, "compressed": True}, 1e-9),
    ],
)
@pytest.mark.parametrize("legacy", [False, True])
def test_we_read_what_open3d_writes(
    tmp_path: Path, name: str, encoding: dict[str, bool], tolerance: float, legacy: bool
) -> None:
    import open3d

    points, path = street(), tmp_path / name
    if legacy:
        cloud = open3d.geometry.PointCloud(open3d.utility.Vector3dVector(points.astype(float)))
        cloud.normals = open3d.utility.Vector3dVector(points[::-1].astype(float))
        cloud.paint_uniform_color((0.2, 0.4, 0.6))
        assert open3d.io.write_point_cloud(path, cloud, **encoding)
    else:
        cloud = open3d.t.geometry.PointCloud(points)
        assert open3d.t.io.write_point_cloud(path, cloud, **encoding)
    np.testing.assert_allclose(read_points(path), points, rtol=tolerance, atol=0.0)


def test_a_mesh_gives_its_vertices(tmp_path: Path) -> None:
    import open3d

    sphere = open3d.geometry.TriangleMesh.create_sphere()
    for text in (False, True):
        path = tmp_path / f"{text}.ply"
        assert open3d.io.write_triangle_mesh(path, sphere, write_ascii=text)
        np.testing.assert_allclose(read_points(path), np.asarray(sphere.vertices), atol=1e-5)
