"""A Velodyne HDL-64E on the roof of KITTI's car: beams, returns, noise and lost returns.

Sensor frame: x ahead, y to the left, z up, metres.
"""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.spatial.transform import Rotation

from domains.lidar.simulator.meshes import Mesh

if TYPE_CHECKING:
    import open3d

__all__ = ["AZIMUTHS", "HEIGHT", "Device", "Scan", "Scene", "scan_street"]

# Above the road on KITTI's car (Geiger et al. 2013, figure 3).
HEIGHT = 1.73
# 10 turns a second.
AZIMUTHS = 2083
# The manual's two blocks of 32 beams, 1/3 and 1/2 degree apart, as they sit on KITTI's car.
ELEVATIONS = np.radians(
    np.concatenate([np.linspace(2.6, -7.73, 32), np.linspace(-8.35, -23.85, 32)])
)
# What the car itself hides: the lowest free elevation by azimuth, degree.
ROOF = np.array(
    [
        [-180, -14.8],
        [-150, -16.5],
        [-128, -22],
        [-76, -30],
        [-74, -15],
        [-63, -15],
        [-61, -30],
        [-22, -30],
        [-12, -20.5],
        [12, -20.5],
        [22, -30],
        [128, -22],
        [150, -16.5],
        [180, -14.8],
    ]
)
REACH = 80.0
RANGE_NOISE = 0.011
# Each laser of the 64 is off by its own constant.
BEAM_NOISE = 0.02
TILT = 0.006
# A return is seen when reflectivity x cosine / range^2, times speckle, exceeds this: asphalt
# (0.22) under a flat beam is then lost at about 45 metres, as in KITTI.
FAINTEST = 0.22 * (HEIGHT / 45) / 45**2
SPECKLE = 0.7
LOST = 0.003


class Scan(NamedTuple):
    """Returns in the sensor frame, ring by ring from the top, with label and intensity."""

    points: Float[np.ndarray, "n 3"]
    intensity: Float[np.ndarray, " n"]
    labels: Int[np.ndarray, " n"]


class Scene(NamedTuple):
    """A mesh that rays can be cast at; ``caster`` is open3d's RaycastingScene."""

    mesh: Mesh
    caster: "open3d.t.geometry.RaycastingScene"

    @classmethod
    def of(cls, mesh: Mesh) -> "Scene":
        """Build the search tree of a mesh."""
        import open3d

        caster = open3d.t.geometry.RaycastingScene()
        caster.add_triangles(
            open3d.core.Tensor.from_numpy(mesh.vertices.astype(np.float32)),
            open3d.core.Tensor.from_numpy(mesh.faces.astype(np.uint32)),
        )
        return cls(mesh, caster)


class Device(NamedTuple):
    """Calibration and mounting of one sensor on one car.

    Attributes:
        beam_bias: Constant error of each beam's range, metre.
        mount: Rotation from the turning axis' frame to the sensor frame: no sensor is
            mounted quite upright, so a beam's elevation waves with the azimuth.
    """

    beam_bias: Float[np.ndarray, " 64"]
    mount: Float[np.ndarray, "3 3"]

    @classmethod
    def draw(cls, rng: np.random.Generator) -> "Device":
        """Draw a sensor."""
        tilt = Rotation.from_rotvec(np.array([*rng.normal(0.0, TILT, 2), 0.0]))
        return cls(rng.normal(0.0, BEAM_NOISE, len(ELEVATIONS)), tilt.as_matrix())


class Hits(NamedTuple):
    """First hit of each ray: distance (inf for none) and what was hit."""

    distance: Float[np.ndarray, " r"]
    cosine: Float[np.ndarray, " r"]
    reflectivity: Float[np.ndarray, " r"]
    labels: Int[np.ndarray, " r"]
    face: Int[np.ndarray, " r"]


def scan_street(
    rng: np.random.Generator,
    device: Device,
    pose: Float[np.ndarray, "4 4"],
    static: Scene,
    moving: Scene | None,
    azimuths: int = AZIMUTHS,
) -> tuple[Scan, Int[np.ndarray, " f"]]:
    """Take one scan, and say which faces of the static mesh it touched.

    Args:
        rng: Draws the phase of the turn, the noise and the lost returns.
        device: The sensor itself.
        pose: Sensor to world.
        static: What stands.
        moving: What moves, where it is now.
        azimuths: Firings per turn.
    """
    rays = directions(rng, azimuths) @ device.mount.T
    hits = _cast(static, pose, rays)
    seen = np.unique(hits.face[np.isfinite(hits.distance)])
    if moving is not None:
        hits = _nearer(hits, _cast(moving, pose, rays))
    kept = _returned(rng, hits) & ~_on_roof(rays)
    noise = np.repeat(device.beam_bias, azimuths) + rng.normal(0.0, RANGE_NOISE, len(rays))
    distance = hits.distance[kept] + noise[kept]
    intensity = np.clip(hits.reflectivity * hits.cosine, 0.0, 1.0)[kept]
    return Scan(rays[kept] * distance[:, None], intensity, hits.labels[kept]), seen


def directions(rng: np.random.Generator, azimuths: int) -> Float[np.ndarray, "r 3"]:
    """Return the unit vectors of one turn, ring by ring from the top."""
    turn = 2 * np.pi * (np.arange(azimuths) + rng.random()) / azimuths - np.pi
    up, around = np.meshgrid(ELEVATIONS, turn, indexing="ij")
    flat = np.cos(up)
    rays = np.stack([flat * np.cos(around), flat * np.sin(around), np.sin(up)], -1)
    return rays.reshape(-1, 3)


def _cast(scene: Scene, pose: Float[np.ndarray, "4 4"], rays: Float[np.ndarray, "r 3"]) -> Hits:
    from open3d.core import Tensor

    turned = rays @ pose[:3, :3].T
    beams = np.concatenate([np.broadcast_to(pose[:3, 3], rays.shape), turned], -1)
    answer = scene.caster.cast_rays(Tensor.from_numpy(beams.astype(np.float32)), nthreads=1)
    face = answer["primitive_ids"].numpy().astype(np.int64)
    hit = face < len(scene.mesh.faces)
    face = np.where(hit, face, 0)
    cosine = np.abs((answer["primitive_normals"].numpy() * turned).sum(-1))
    distance = np.where(hit, answer["t_hit"].numpy(), np.inf).astype(np.float64)
    return Hits(distance, cosine, scene.mesh.reflectivity[face], scene.mesh.labels[face], face)


def _nearer(a: Hits, b: Hits) -> Hits:
    first = a.distance <= b.distance
    return Hits(*(np.where(first, x, y) for x, y in zip(a, b, strict=True)))


def _returned(rng: np.random.Generator, hits: Hits) -> Bool[np.ndarray, " r"]:
    """Draw the mask of rays that return [r]: the fainter, the fewer."""
    reached = hits.distance < REACH
    signal = hits.reflectivity * hits.cosine / np.where(reached, hits.distance, 1.0) ** 2
    speckle = np.exp(rng.normal(0.0, SPECKLE, len(signal)))
    return reached & (signal * speckle > FAINTEST) & (rng.random(len(signal)) > LOST)


def _on_roof(rays: Float[np.ndarray, "r 3"]) -> Bool[np.ndarray, " r"]:
    azimuth = np.degrees(np.arctan2(rays[:, 1], rays[:, 0]))
    return np.degrees(np.arcsin(rays[:, 2])) < np.interp(azimuth, ROOF[:, 0], ROOF[:, 1])
