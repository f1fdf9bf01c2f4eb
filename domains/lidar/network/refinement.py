"""The refinement network: several small offsets for each point (LiDiff's ``model_refine``)."""

from jaxtyping import Float
from torch import Tensor, nn

from domains.lidar.network.config import NetworkConfig
from domains.lidar.network.unet import UNet, head
from domains.lidar.sparse import Cloud

__all__ = ["OFFSETS", "Refinement"]

# New points for each given one.
OFFSETS = 6


class Refinement(UNet):
    """Unconditional U-Net."""

    def __init__(self, config: NetworkConfig):
        super().__init__(config)
        self.last = head(config.channels[8], 3 * OFFSETS, nn.Tanh())

    def forward(self, cloud: Cloud) -> Float[Tensor, "m 6 3"]:
        """Return offsets of each point, each axis within ±1 m."""
        features = self._features(cloud, lambda _, x: x)
        return self.last(features)[cloud.inverse].unflatten(-1, (OFFSETS, 3))
