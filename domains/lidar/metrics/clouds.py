"""Checks of point clouds before measuring, and the grid cells that points are counted in."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from domains.errors import FewstepError

__all__ = [
    "VOXEL",
    "Cells",
    "VoxelCounts",
    "cells_per_axis",
    "check_cloud",
    "distinct_rows",
    "occupied_cells",
    "voxel_counts",
]

# The published metrics look at the cube of 100 m around the sensor.
HALF_EDGE = 50.0
# Edge of the voxels that the published "EMD" moves, metre.
VOXEL = 0.5


class Cells(NamedTuple):
    """Occupied cells of the cube, ascending; z runs fastest in their numbers."""

    numbers: Int[np.ndarray, " k"]
    counts: Int[np.ndarray, " k"]


class VoxelCounts(NamedTuple):
    """Voxels that hold points of either cloud, and how many of each."""

    voxels: Float[np.ndarray, "v 3"]
    predicted: Int[np.ndarray, " v"]
    truth: Int[np.ndarray, " v"]


def check_cloud(points: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n 3"]:
    """Return the points, or say why they can't be measured.

    Raises:
        FewstepError: There are none, or a coordinate isn't finite.
    """
    if not len(points):
        raise FewstepError("a point cloud is empty", expected="at least one point")
    broken = ~np.isfinite(points).all(1)
    if broken.any():
        raise FewstepError(
            "a point cloud has coordinates that are not finite",
            expected="finite metres",
            got=f"{int(broken.sum())} broken points of {len(points)}",
            do="Leave the scene out, and count it",
        )
    return points


def cells_per_axis(size: float) -> int:
    """Return the cells per edge of the published grid, for cells of ``size`` metres."""
    return int(2 * HALF_EDGE / size)


def occupied_cells(points: Float[np.ndarray, "n 3"], size: float) -> Cells:
    """Return the cells of [-50, 50]³ that hold points; what lies outside is dropped.

    The edges are those of ``numpy.histogramdd``, the last of which is closed. Only occupied
    cells cost anything: the dense grid of 0.1 m cells has 10⁹.

    Args:
        points: Finite coordinates, metre.
        size: Edge of a cell, metre.
    """
    count = cells_per_axis(size)
    edges = np.linspace(-HALF_EDGE, HALF_EDGE, count + 1)
    cells = np.searchsorted(edges, check_cloud(points), side="right") - 1
    cells[points == HALF_EDGE] = count - 1
    inside = cells[((cells >= 0) & (cells < count)).all(1)]
    return Cells(
        *np.unique(np.ravel_multi_index(tuple(inside.T), (count,) * 3), return_counts=True)
    )


def voxel_counts(
    predicted: Float[np.ndarray, "p 3"], truth: Float[np.ndarray, "g 3"], size: float = VOXEL
) -> VoxelCounts:
    """Return the voxels of two clouds, anywhere in space; voxel i begins at i times ``size``.

    Args:
        predicted: Finite coordinates, metre.
        truth: The same.
        size: Edge of a voxel, metre.
    """
    both = np.concatenate([check_cloud(predicted), check_cloud(truth)])
    # Whole numbers stay float64: a point may be farther away than integers reach.
    voxels, place = distinct_rows(np.floor(both / size).astype(np.float64))
    ours, real = np.split(place, [len(predicted)])
    return VoxelCounts(
        voxels,
        np.bincount(ours, minlength=len(voxels)),
        np.bincount(real, minlength=len(voxels)),
    )


def distinct_rows(
    rows: Float[np.ndarray, "n 3"],
) -> tuple[Float[np.ndarray, "k 3"], Int[np.ndarray, " n"]]:
    """Return the different rows, and which of them each row is.

    ``numpy.unique`` along an axis does the same ten times slower.
    """
    axes = [np.unique(axis, return_inverse=True) for axis in rows.T]
    shape = tuple(len(values) for values, _ in axes)
    number = np.ravel_multi_index(tuple(rank for _, rank in axes), shape)
    _, first, place = np.unique(number, return_index=True, return_inverse=True)
    return rows[first], place
