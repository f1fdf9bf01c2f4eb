"""The U-Net that noise predictor and refinement share."""

from abc import ABC
from collections.abc import Callable

from jaxtyping import Float
from torch import Tensor, nn

from domains.distillation.recompute import run_layer
from domains.lidar.network.blocks import ResidualBlock, Up, concatenate
from domains.lidar.network.config import NetworkConfig
from domains.lidar.network.encoder import Contracting
from domains.lidar.sparse import Cloud, SparseTensor

__all__ = ["STAGES", "UNet", "head"]

# In the order of computation.
STAGES = ("stage1", "stage2", "stage3", "stage4", "up1", "up2", "up3", "up4")

Modulation = Callable[[str, SparseTensor], SparseTensor]


class UNet(Contracting, ABC):
    """Contracting half, and four stages back up, each joined by what came down.

    Attributes:
        recompute: Keep little memory for gradients (see ``run_layer``).
    """

    def __init__(self, config: NetworkConfig):
        super().__init__(config)
        self.recompute = False
        skips, ups = config.channels[3::-1], config.channels[4:]
        self.up1, self.up2, self.up3, self.up4 = (
            nn.Sequential(
                Up(inputs, outputs),
                nn.Sequential(
                    ResidualBlock(outputs + skip, outputs), ResidualBlock(outputs, outputs)
                ),
            )
            for inputs, outputs, skip in zip(ups, ups[1:], skips, strict=False)
        )

    def _features(self, cloud: Cloud, modulate: Modulation) -> Float[Tensor, "v c"]:
        """Return one row per finest voxel.

        Args:
            cloud: Voxelised points.
            modulate: Changes the input of each stage, known by its name; skips see it unchanged.
        """
        x = self._run(self.stem, cloud.mean)
        skips = []
        for name in STAGES[:4]:
            skips.append(x)
            x = self._run(self.get_submodule(name), modulate(name, x))
        for name in STAGES[4:]:
            up, blocks = self.get_submodule(name).children()
            x = concatenate(self._run(up, modulate(name, x)), skips.pop())
            x = self._run(blocks, x)
        return x.features

    def _run(self, layers: nn.Module, x: SparseTensor) -> SparseTensor:
        return run_layer(layers, x, recompute=self.recompute)


def head(channels: int, outputs: int, *last: nn.Module) -> nn.Sequential:
    """Return the layers after the U-Net."""
    return nn.Sequential(nn.Linear(channels, 20), nn.LeakyReLU(0.1), nn.Linear(20, outputs), *last)
