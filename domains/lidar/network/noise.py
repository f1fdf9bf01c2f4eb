"""The noise predictor: a U-Net multiplied by condition and time (LiDiff's ``model``)."""

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from domains.errors import FewstepError
from domains.lidar.network.config import NetworkConfig
from domains.lidar.network.embedding import timestep_embedding
from domains.lidar.network.encoder import Condition
from domains.lidar.network.unet import STAGES, UNet, head
from domains.lidar.sparse import Cloud, SparseTensor, voxelise

__all__ = ["NoisePredictor"]


class NoisePredictor(UNet):
    """Predicts the noise of each point.

    The input of every stage is multiplied by w = latemp(latent(c), temp(t)), where c is the
    nearest condition voxel's row. w depends on that voxel and the scan's timestep only, so
    it is computed once for each condition voxel, and then gathered.
    """

    def __init__(self, config: NetworkConfig):
        super().__init__(config)
        channels, condition, time = config.channels, config.condition_channels, config.time_channels
        # What each stage takes in; up-stages are as wide inside their last MLP.
        inputs = dict(zip(STAGES, (channels[0], *channels[1:4], *channels[4:8]), strict=True))
        for name, width in inputs.items():
            hidden = width if name.startswith("up") else condition
            self.add_module(f"latent_{name}", _mlp(condition, condition, condition))
            self.add_module(f"{name}_temp", _mlp(time, time, condition))
            self.add_module(f"latemp_{name}", _mlp(2 * condition, hidden, width))
        self.last = head(channels[8], 3)

    def forward(
        self, cloud: Cloud, timestep: Shaped[Tensor, " b"], condition: Condition
    ) -> Float[Tensor, "m 3"]:
        """Predict the noise of each point.

        Args:
            cloud: Noisy points, voxelised with the configuration's size.
            timestep: Step of each scan in the noise schedule, 0 to 999.
            condition: The encoded partial scans, or the unconditional ones.

        Returns:
            Noise in the order of the points, in units of its standard deviation.
        """
        return self.last(self.voxel_features(cloud, timestep, condition))[cloud.inverse]

    def predict(
        self,
        points: Float[Tensor, "m 3"],
        scan: Shaped[Tensor, " m"],
        timestep: Shaped[Tensor, " b"],
        condition: Condition,
    ) -> tuple[Float[Tensor, "m 3"], Float[Tensor, " m"]]:
        """Return the noise of each point, and the mean of its features as a logit.

        Args:
            points: Noisy points of all scans, metre.
            scan: Number of the scan that each belongs to.
            timestep: As of ``forward``.
            condition: As of ``forward``.
        """
        cloud = voxelise(points, scan, self.config.voxel_size)
        features = self.voxel_features(cloud, timestep, condition)
        return self.last(features)[cloud.inverse], features.mean(-1)[cloud.inverse]

    def voxel_features(
        self, cloud: Cloud, timestep: Shaped[Tensor, " b"], condition: Condition
    ) -> Float[Tensor, "v c"]:
        """Compute the last features of each voxel, which the noise is predicted from."""
        time = timestep_embedding(timestep, self.config.time_channels)
        time = time.to(condition.features.dtype)
        scan = condition.voxels.scan
        if len(scan) and int(scan[-1]) >= len(timestep):
            raise FewstepError(
                "a batch has more scans than timesteps",
                expected=f"{int(scan[-1]) + 1} timesteps",
                got=len(timestep),
            )

        def modulate(name: str, x: SparseTensor) -> SparseTensor:
            rows = self._factors(name, condition.features, time, scan)
            nearest = x.pyramid.nearest(x.level, condition.voxels)
            return x.with_features(x.features * rows.index_select(0, nearest))

        return self._features(cloud, modulate)

    def _factors(self, name: str, condition: Tensor, time: Tensor, scan: Tensor) -> Tensor:
        """Compute the modulation of a stage, one row per condition voxel."""
        latent = self.get_submodule(f"latent_{name}")(condition)
        temporal = self.get_submodule(f"{name}_temp")(time)[scan]
        # LiDiff has the other order here, and here only.
        both = (temporal, latent) if name == "up1" else (latent, temporal)
        return self.get_submodule(f"latemp_{name}")(torch.cat(both, -1))


def _mlp(inputs: int, hidden: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, hidden), nn.LeakyReLU(0.1), nn.Linear(hidden, outputs))
