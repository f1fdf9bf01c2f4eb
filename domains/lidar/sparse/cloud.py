"""From points to voxels with features, and back."""

import os
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from domains.errors import FewstepError
from domains.lidar.sparse.minkowski import MinkowskiPyramid
from domains.lidar.sparse.pyramid import Pyramid, TorchPyramid
from domains.lidar.sparse.voxels import LIMIT, Voxels

__all__ = ["Cloud", "SparseTensor", "voxelise"]

BACKEND_VARIABLE = "FEWSTEP_SPARSE"
BACKENDS = {"torch": TorchPyramid, "minkowski": MinkowskiPyramid}


@dataclass(frozen=True)
class SparseTensor:
    """Features of the voxels of one level.

    Attributes:
        features: One row per voxel of ``pyramid.voxels(level)``.
        pyramid: Coordinates and convolutions.
        level: 0 is the finest; the stride is 2^level.
    """

    features: Float[Tensor, "v c"]
    pyramid: Pyramid
    level: int = 0

    @property
    def voxels(self) -> Voxels:
        """The voxels of the rows."""
        return self.pyramid.voxels(self.level)

    def with_features(self, features: Float[Tensor, "v d"]) -> "SparseTensor":
        """Return the same voxels with other features."""
        return replace(self, features=features)


@dataclass(frozen=True)
class Cloud:
    """Points of a batch of scans, voxelised.

    Attributes:
        mean: Mean position of the points of each voxel, metre: what the networks see.
        inverse: Row of the voxel of each point.
    """

    mean: SparseTensor
    inverse: Int[Tensor, " m"]


def voxelise(
    points: Float[Tensor, "m 3"],
    scan: Int[Tensor, " m"],
    size: float,
    backend: str | None = None,
) -> Cloud:
    """Sort points into voxels: coordinate = xyz / size in float32, rounded half to even.

    Args:
        points: Points of all scans in any order, metre.
        scan: Number of the scan that each point belongs to.
        size: Edge of a voxel, metre.
        backend: What convolves: "torch" or "minkowski"; None asks the environment variable
            FEWSTEP_SPARSE, and is torch where that isn't set.

    Raises:
        FewstepError: A point is not finite, or too far away for the voxel size; the backend
            is unknown or not installed.
    """
    # A tensor as divisor: by a plain number, CUDA multiplies with the reciprocal instead.
    edge = torch.tensor(size, dtype=torch.float32, device=points.device)
    xyz = torch.round(points.float() / edge)
    outside = ~(xyz.abs() <= LIMIT).all(-1)
    if outside.any():
        raise FewstepError(
            "points cannot be voxelised",
            expected=f"finite coordinates within {LIMIT * size:.0f} m",
            got=f"{points[outside][0].tolist()} and {int(outside.sum()) - 1} others",
        )
    keys, inverse = torch.unique(Voxels.key(scan, xyz), return_inverse=True)
    total = points.new_zeros(len(keys), 3).index_add_(0, inverse, points)
    mean = total / torch.bincount(inverse, minlength=len(keys))[:, None]
    return Cloud(SparseTensor(mean, _pyramid(Voxels(keys), backend)), inverse)


def _pyramid(voxels: Voxels, backend: str | None) -> Pyramid:
    chosen = backend or os.environ.get(BACKEND_VARIABLE) or "torch"
    if chosen not in BACKENDS:
        raise FewstepError(
            "unknown backend of sparse convolutions",
            expected=" or ".join(BACKENDS),
            got=chosen,
            do=f"Set {BACKEND_VARIABLE} to one of them",
        )
    return BACKENDS[chosen](voxels)
