"""Triangle meshes with a label and a reflectivity per face, and the shapes all else is made of.

Frame of every shape: x along it, y to its left, z up, standing on z = 0; metres.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int

__all__ = ["Mesh", "box", "cylinder", "merged", "patch", "placed", "prism", "repeated"]


@dataclass(frozen=True)
class Mesh:
    """Triangles.

    Attributes:
        vertices: Corners, metre.
        faces: Three vertex indices per triangle.
        labels: SemanticKITTI's label of each triangle.
        reflectivity: Share of the light that a triangle sends back, 0-1.
    """

    vertices: Float[np.ndarray, "v 3"]
    faces: Int[np.ndarray, "f 3"]
    labels: Int[np.ndarray, " f"]
    reflectivity: Float[np.ndarray, " f"]

    @classmethod
    def of(
        cls,
        vertices: Float[np.ndarray, "v 3"],
        faces: Int[np.ndarray, "f 3"],
        label: int,
        reflectivity: float,
    ) -> "Mesh":
        """Return a mesh of one label and one reflectivity."""
        return cls(vertices, faces, np.full(len(faces), label), np.full(len(faces), reflectivity))


def merged(meshes: Sequence[Mesh]) -> Mesh:
    """Return one mesh of all the triangles."""
    first = np.cumsum([0, *(len(mesh.vertices) for mesh in meshes)])
    return Mesh(
        np.concatenate([mesh.vertices for mesh in meshes]),
        np.concatenate([mesh.faces + at for mesh, at in zip(meshes, first, strict=False)]),
        np.concatenate([mesh.labels for mesh in meshes]),
        np.concatenate([mesh.reflectivity for mesh in meshes]),
    )


def placed(mesh: Mesh, position: Float[np.ndarray, " 3"], heading: float = 0.0) -> Mesh:
    """Return the mesh turned about z by ``heading`` (radian) and moved to ``position``."""
    c, s = np.cos(heading), np.sin(heading)
    turn = np.array([[c, s, 0.0], [-s, c, 0.0], [0.0, 0.0, 1.0]])
    return replace(mesh, vertices=mesh.vertices @ turn + position)


def repeated(mesh: Mesh, offsets: Float[np.ndarray, "n 3"]) -> Mesh:
    """Return a copy of the mesh at each offset."""
    count = len(offsets)
    first = len(mesh.vertices) * np.arange(count)[:, None, None]
    return Mesh(
        (mesh.vertices + offsets[:, None]).reshape(-1, 3),
        (mesh.faces + first).reshape(-1, 3),
        np.tile(mesh.labels, count),
        np.tile(mesh.reflectivity, count),
    )


def patch(points: Float[np.ndarray, "r c 3"], label: int, reflectivity: float) -> Mesh:
    """Return the surface through a grid of points, two triangles per cell."""
    rows, columns = points.shape[:2]
    at = np.arange(rows * columns).reshape(rows, columns)
    a, b, c, d = at[:-1, :-1], at[1:, :-1], at[1:, 1:], at[:-1, 1:]
    faces = np.stack([np.stack([a, b, c], -1), np.stack([a, c, d], -1)], 2)
    return Mesh.of(points.reshape(-1, 3), faces.reshape(-1, 3), label, reflectivity)


def prism(profile: Float[np.ndarray, "k 2"], width: float, label: int, reflectivity: float) -> Mesh:
    """Return a convex profile in the x-z plane, drawn out to ``width`` along y."""
    count = len(profile)
    sides = [np.insert(profile, 1, y, axis=1) for y in (-width / 2, width / 2)]
    ring = np.arange(count)
    following = (ring + 1) % count
    fan = np.stack([np.zeros(count - 2, int), ring[1:-1], ring[2:]], -1)
    faces = [
        fan,
        fan + count,
        np.stack([ring, following, following + count], -1),
        np.stack([ring, following + count, ring + count], -1),
    ]
    return Mesh.of(np.concatenate(sides), np.concatenate(faces), label, reflectivity)


def box(length: float, width: float, height: float, label: int, reflectivity: float) -> Mesh:
    """Return a box centred on the z axis."""
    x = length / 2
    profile = np.array([[-x, 0.0], [x, 0.0], [x, height], [-x, height]])
    return prism(profile, width, label, reflectivity)


def cylinder(radius: float, height: float, label: int, reflectivity: float, sides: int = 8) -> Mesh:
    """Return the mantle of an upright cylinder; its ends are open."""
    angle = np.linspace(0.0, 2 * np.pi, sides + 1)
    ring = np.stack([radius * np.cos(angle), radius * np.sin(angle)], -1)
    ends = [np.insert(ring, 2, z, axis=1) for z in (0.0, height)]
    return patch(np.stack(ends), label, reflectivity)
