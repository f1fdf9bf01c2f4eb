"""Exact ground truth: points spread evenly over the surfaces that were seen."""

import numpy as np
from jaxtyping import Float, Int

from domains.lidar.data.scene_map import first_per_voxel
from domains.lidar.simulator.meshes import Mesh

__all__ = ["surface_points"]


def surface_points(
    rng: np.random.Generator, mesh: Mesh, faces: Int[np.ndarray, " f"], spacing: float
) -> tuple[Float[np.ndarray, "n 3"], Int[np.ndarray, " n"]]:
    """Sample triangles uniformly by area, and keep one point per voxel.

    Args:
        rng: Draws the points.
        mesh: The surface.
        faces: Which triangles to sample.
        spacing: Voxel size, metre; four points are drawn per voxel-sized square.

    Returns:
        Points and the label of the triangle of each.
    """
    corners = mesh.vertices[mesh.faces[faces]]
    edges = corners[:, 1:] - corners[:, :1]
    area = np.linalg.norm(np.cross(edges[:, 0], edges[:, 1]), axis=-1) / 2
    count = rng.poisson(4 * area / spacing**2)
    # Uniform in the parallelogram, its far half folded back onto the triangle.
    u = rng.random((count.sum(), 2))
    u = np.where(u.sum(1, keepdims=True) > 1, 1 - u, u)
    points = corners[:, 0].repeat(count, 0) + np.einsum("nk,nkc->nc", u, edges.repeat(count, 0))
    kept = first_per_voxel(points, spacing)
    return points[kept], mesh.labels[faces].repeat(count)[kept]
