"""The ground: carriageway, kerbs, pavements and land, as one sheet in street coordinates."""

import numpy as np
from jaxtyping import Bool, Float, Int

from domains.lidar.simulator.labels import Label
from domains.lidar.simulator.meshes import Mesh, patch
from domains.lidar.simulator.plan import Plan, Side
from domains.lidar.simulator.road import Road

__all__ = ["draw_ground"]

KERB = 0.12
# Asphalt is dark, grass and paving are brighter at 905 nm.
REFLECTIVITY = {Label.ROAD: 0.22, Label.PARKING: 0.22, Label.SIDEWALK: 0.3, Label.TERRAIN: 0.4}
BEYOND = np.array([1.0, 2.5, 4.5, 7.0, 10.0, 14.0, 19.0, 25.0, 33.0, 45.0, 60.0, 80.0])


def draw_ground(rng: np.random.Generator, road: Road, plan: Plan) -> Mesh:
    """Draw the ground of a street, rough where it isn't paved."""
    left, right = plan.sides
    d = np.concatenate([-_columns(right)[::-1], [0.0], _columns(left)])
    s = np.arange(*road.ends, 1.0)
    crossing = _inside(s, plan)
    raised = np.where(d > 0, d > left.kerb + 0.02, -d > right.kerb + 0.02)
    rough = np.where(d > 0, d > left.walk, -d > right.walk)
    points = road.at(*np.meshgrid(s, d, indexing="ij"))
    points[..., 2] += KERB * (raised & ~crossing[:, None])
    # Roads and pavements fall off to the side, so that rain runs away.
    points[..., 2] -= rng.uniform(0.01, 0.035) * np.minimum(np.abs(d), 8.0)
    points[..., 2] += rng.normal(0.0, 0.05, points.shape[:2]) * (rough & ~crossing[:, None])
    mesh = patch(points, Label.ROAD, 0.0)
    labels = _labels(d, crossing, plan).repeat(2)
    reflectivity = np.array([REFLECTIVITY[Label(label)] for label in labels])
    return Mesh(mesh.vertices, mesh.faces, labels, reflectivity)


def _columns(side: Side) -> Float[np.ndarray, " k"]:
    near = np.array([side.kerb / 2, side.kerb, side.kerb + 0.04, side.walk, side.walk + 0.05])
    return np.concatenate([near, side.walk + BEYOND])


def _inside(s: Float[np.ndarray, " r"], plan: Plan) -> Bool[np.ndarray, " r"]:
    edges = np.array(plan.crossings).reshape(-1, 2, 1)
    return np.any((s >= edges[:, 0]) & (s <= edges[:, 1]), axis=0)


def _labels(
    d: Float[np.ndarray, " c"], crossing: Bool[np.ndarray, " r"], plan: Plan
) -> Int[np.ndarray, " cells"]:
    """Return the label of each cell of the sheet, row by row."""
    left, right = plan.sides
    middle = (d[1:] + d[:-1]) / 2
    kerb = np.where(middle > 0, left.kerb, right.kerb)
    walk = np.where(middle > 0, left.walk, right.walk)
    away = np.abs(middle)
    paved = np.select([away < kerb, away < walk], [Label.ROAD, Label.SIDEWALK], Label.TERRAIN)
    return np.where(crossing[:-1, None], int(Label.ROAD), paved[None]).reshape(-1)
