"""Sparse convolutions with MinkowskiEngine's semantics."""

from domains.lidar.sparse.cloud import Cloud, SparseTensor, voxelise
from domains.lidar.sparse.pyramid import Pyramid
from domains.lidar.sparse.voxels import Voxels

__all__ = ["Cloud", "Pyramid", "SparseTensor", "Voxels", "voxelise"]
