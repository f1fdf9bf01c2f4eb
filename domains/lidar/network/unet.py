"""The U-Net that noise predictor and refinement share."""

from abc import ABC
from collections.abc import Callable

from jaxtyping import Float
from torch import Tensor, nn

from domains.lidar.network.blocks import ResidualBlock, Up, concatenate
from domains.lidar.network.config import NetworkConfig
from domains.lidar.network.encoder import Contracting
from domains.lidar.sparse import Cloud, SparseTensor

__all__ = ["STAGES", "UNet", "head"]

# In the order of computation.
STAGES = ("stage1", "stage2", "stage3", "stage4", "up1", "up2", "up3", "up4")

Modulation = Callable[[str, SparseTensor], SparseTensor]


class UNet(Contracting, ABC):
    """Contracting half, and four stages back up, each joined by what came down."""

    def __init__(self, config: NetworkConfig):
        super().__init__(config)
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
        x = self.stem(cloud.mean)
        skips = []
        for name in STAGES[:4]:
            skips.append(x)
            x = self.get_submodule(name)(modulate(name, x))
        for name in STAGES[4:]:
            up, blocks = self.get_submodule(name).children()
            x = blocks(concatenate(up(modulate(name, x)), skips.pop()))
        return x.features


def head(channels: int, outputs: int, *last: nn.Module) -> nn.Sequential:
    """Return the layers after the U-Net."""
    return nn.Sequential(nn.Linear(channels, 20), nn.LeakyReLU(0.1), nn.Linear(20, outputs), *last)
