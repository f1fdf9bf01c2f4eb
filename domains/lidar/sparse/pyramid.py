"""The voxels of one batch of scans at strides 1, 2, 4, …, and convolutions between them."""

from abc import ABC, abstractmethod

from jaxtyping import Float, Int
from torch import Tensor

from domains.lidar.sparse.convolution import convolve
from domains.lidar.sparse.kernel_map import KernelMap, child_map, neighbour_map
from domains.lidar.sparse.nearest import nearest
from domains.lidar.sparse.voxels import Voxels

__all__ = ["Pyramid", "TorchPyramid"]


class Pyramid(ABC):
    """Voxels and kernel maps of all strides, each computed once, on first use.

    Level l has stride 2^l. Kernels are [offsets, in, out], x fastest; rows are those of
    ``voxels(level)``.
    """

    def __init__(self, finest: Voxels):
        self._levels = [finest]
        self._parents: list[tuple[Int[Tensor, " v"], Int[Tensor, " v"]]] = []
        self._nearest: dict[tuple[int, Voxels], Int[Tensor, " v"]] = {}

    def voxels(self, level: int) -> Voxels:
        """Return the voxels of a level."""
        while len(self._levels) <= level:
            coarser, *parent = self._levels[-1].coarser()
            self._levels.append(coarser)
            self._parents.append((parent[0], parent[1]))
        return self._levels[level]

    def parents(self, level: int) -> tuple[Int[Tensor, " v"], Int[Tensor, " v"]]:
        """Return the row of each voxel's parent, and its place in it (0 to 7)."""
        self.voxels(level + 1)
        return self._parents[level]

    def nearest(self, level: int, anchors: Voxels) -> Int[Tensor, " v"]:
        """Return the row of the anchor nearest to each voxel of a level."""
        key = level, anchors
        if key not in self._nearest:
            self._nearest[key] = nearest(self.voxels(level), anchors)
        return self._nearest[key]

    @abstractmethod
    def convolve(
        self, features: Float[Tensor, "v c"], kernel: Float[Tensor, "27 c d"], level: int
    ) -> Float[Tensor, "v d"]:
        """Sum over the 3x3x3 neighbourhood of each voxel, itself included."""

    @abstractmethod
    def down(
        self, features: Float[Tensor, "v c"], kernel: Float[Tensor, "8 c d"], level: int
    ) -> Float[Tensor, "u d"]:
        """Sum over the children of each voxel of level + 1."""

    @abstractmethod
    def up(
        self, features: Float[Tensor, "u c"], kernel: Float[Tensor, "8 c d"], level: int
    ) -> Float[Tensor, "v d"]:
        """Give each voxel of level - 1 its parent's product: the transposed ``down``."""


class TorchPyramid(Pyramid):
    """Convolutions in plain torch, on any device."""

    def __init__(self, finest: Voxels):
        super().__init__(finest)
        self._neighbours: dict[int, KernelMap] = {}
        self._children: dict[int, KernelMap] = {}

    def convolve(
        self, features: Float[Tensor, "v c"], kernel: Float[Tensor, "27 c d"], level: int
    ) -> Float[Tensor, "v d"]:
        """See ``Pyramid``."""
        return convolve(features, kernel, self.neighbours(level))

    def down(
        self, features: Float[Tensor, "v c"], kernel: Float[Tensor, "8 c d"], level: int
    ) -> Float[Tensor, "u d"]:
        """See ``Pyramid``."""
        return convolve(features, kernel, self.children(level))

    def up(
        self, features: Float[Tensor, "u c"], kernel: Float[Tensor, "8 c d"], level: int
    ) -> Float[Tensor, "v d"]:
        """See ``Pyramid``."""
        return convolve(features, kernel, self.children(level - 1).transposed())

    def neighbours(self, level: int) -> KernelMap:
        """Return the map of a 3x3x3 kernel."""
        if level not in self._neighbours:
            self._neighbours[level] = neighbour_map(self.voxels(level))
        return self._neighbours[level]

    def children(self, level: int) -> KernelMap:
        """Return the map of a 2x2x2 kernel from a level to the next coarser one."""
        if level not in self._children:
            parent, place = self.parents(level)
            self._children[level] = child_map(parent, place, len(self.voxels(level + 1)))
        return self._children[level]
