"""MinkowskiEngine as the program that convolves: by choice, never by default."""

from importlib import import_module
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from domains.errors import FewstepError
from domains.lidar.sparse.pyramid import Pyramid
from domains.lidar.sparse.voxels import Voxels

__all__ = ["MinkowskiPyramid"]


class MinkowskiPyramid(Pyramid):
    """Hands features to MinkowskiEngine in its own order of rows, and takes them back.

    Raises:
        FewstepError: MinkowskiEngine can't be imported, or was built without CUDA and the
            voxels are on a GPU.
    """

    def __init__(self, finest: Voxels):
        super().__init__(finest)
        self._engine, self._default_mode = _engine()
        self._manager = self._engine.CoordinateManager(
            D=3, coordinate_map_type=_map_type(self._engine, finest.keys.device)
        )
        coordinates = torch.cat([finest.scan[:, None], finest.xyz], 1).int()
        self._keys = [self._manager.insert_and_map(coordinates, 1)[0]]
        self._orders: dict[int, tuple[Int[Tensor, " v"], Int[Tensor, " v"]]] = {}

    def convolve(
        self, features: Float[Tensor, "v c"], kernel: Float[Tensor, "27 c d"], level: int
    ) -> Float[Tensor, "v d"]:
        """See ``Pyramid``."""
        function = self._engine.MinkowskiConvolutionFunction
        return self._apply(function, features, kernel, level, level)

    def down(
        self, features: Float[Tensor, "v c"], kernel: Float[Tensor, "8 c d"], level: int
    ) -> Float[Tensor, "u d"]:
        """See ``Pyramid``."""
        function = self._engine.MinkowskiConvolutionFunction
        return self._apply(function, features, kernel, level, level + 1)

    def up(
        self, features: Float[Tensor, "u c"], kernel: Float[Tensor, "8 c d"], level: int
    ) -> Float[Tensor, "v d"]:
        """See ``Pyramid``."""
        function = self._engine.MinkowskiConvolutionTransposeFunction
        return self._apply(function, features, kernel, level, level - 1)

    def _apply(
        self, function: Any, features: Tensor, kernel: Tensor, source: int, target: int
    ) -> Tensor:
        if not len(features):  # on which MinkowskiEngine crashes
            return features @ kernel[0]
        size, stride = (3, 1) if source == target else (2, 2)
        out = function.apply(
            features.index_select(0, self._order(source)[1]),
            kernel.contiguous(),
            self._engine.KernelGenerator(kernel_size=size, stride=stride, dimension=3),
            self._default_mode,
            self._key(source),
            self._key(target),
            self._manager,
        )
        return out.index_select(0, self._order(target)[0])

    def _key(self, level: int) -> Any:
        """Return MinkowskiEngine's name of a level."""
        while len(self._keys) <= level:
            self._keys.append(self._manager.stride(self._keys[-1], 2))
        return self._keys[level]

    def _order(self, level: int) -> tuple[Int[Tensor, " v"], Int[Tensor, " v"]]:
        """Return MinkowskiEngine's row of each of our voxels, and the inverse."""
        if level not in self._orders:
            scan, *xyz = self._manager.get_coordinates(self._key(level)).long().unbind(1)
            theirs = torch.argsort(Voxels.key(scan, torch.stack(xyz, 1)))
            self._orders[level] = theirs, torch.argsort(theirs)
        return self._orders[level]


def _engine() -> tuple[Any, Any]:
    """Return MinkowskiEngine, and the one mode of convolution, which it doesn't export."""
    try:
        engine = import_module("MinkowskiEngine")
        return engine, import_module("MinkowskiEngineBackend._C").ConvolutionMode.DEFAULT
    except ImportError as error:
        raise FewstepError(
            "the backend minkowski needs MinkowskiEngine, which can't be imported",
            got=error,
            do="See docs/how_to/minkowski.md, or use the backend torch",
        ) from error


def _map_type(engine: Any, device: torch.device) -> Any:
    if device.type == "cpu":
        return engine.CoordinateMapType.CPU
    if not engine.is_cuda_available():
        raise FewstepError(
            "MinkowskiEngine was built without CUDA",
            expected="voxels on the CPU",
            got=device,
            do="Build it with CUDA (docs/how_to/minkowski.md), or use the backend torch",
        )
    return engine.CoordinateMapType.CUDA
