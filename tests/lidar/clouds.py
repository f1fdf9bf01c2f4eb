"""Random points for tests, and their voxels."""

import numpy as np
import torch
from torch import Tensor

from domains.lidar.sparse import Cloud, voxelise

__all__ = ["normal_points", "scattered", "voxel_cloud"]


def scattered(seed: int, count: int = 500, spread: float = 2.0) -> np.ndarray:
    """Draw points [n, 3] of a metric's test, of a standard deviation of ``spread`` metres."""
    return np.random.default_rng(seed).normal(scale=spread, size=(count, 3))


def normal_points(count: int = 200, spread: float = 2.0) -> Tensor:
    """Draw points [n, 3] of a network's test, in float32, the first ones of one stream."""
    return torch.randn(count, 3, generator=torch.Generator().manual_seed(0)) * spread


def voxel_cloud(points: Tensor, size: float) -> Cloud:
    """Voxelise the points [p, 3] of a scan, or [b, p, 3] of some; ``size`` in metres."""
    scans = points if points.dim() == 3 else points[None]
    scan = torch.arange(len(scans)).repeat_interleave(scans.shape[1])
    return voxelise(scans.flatten(0, 1), scan, size)
