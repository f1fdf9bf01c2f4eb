"""The contracting half of a U-Net, and the encoder of the partial scan that is nothing else."""

from abc import ABC
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from domains.lidar.network.blocks import Down, ResidualBlock, stem
from domains.lidar.network.config import NetworkConfig
from domains.lidar.sparse import Cloud, Voxels, voxelise

__all__ = ["Condition", "ConditionEncoder", "Contracting"]


class Contracting(nn.Module, ABC):
    """Stem and four stages, each to the next coarser level."""

    def __init__(self, config: NetworkConfig):
        super().__init__()
        self.config = config
        first, *channels = config.channels[:5]
        self.stem = stem(first)
        self.stage1, self.stage2, self.stage3, self.stage4 = (
            nn.Sequential(
                Down(inputs), ResidualBlock(inputs, outputs), ResidualBlock(outputs, outputs)
            )
            for inputs, outputs in zip([first, *channels], channels, strict=False)
        )


@dataclass(frozen=True)
class Condition:
    """Encoded partial scans, made once for all steps of the noise predictor.

    Attributes:
        features: One row per voxel.
        voxels: Voxels of stride 16 (0.8 m), at least one for each scan.
    """

    features: Float[Tensor, "c k"]
    voxels: Voxels

    def to(self, device: torch.device | str) -> "Condition":
        """Move features and voxels to ``device``."""
        return Condition(self.features.to(device), self.voxels.to(device))

    def repeated(self, times: int, scans: int) -> "Condition":
        """Return the condition of so many equal batches of ``scans`` scans after each other."""
        shifted = [self.voxels.moved_by(number * scans) for number in range(times)]
        keys = torch.cat([voxels.keys for voxels in shifted])
        return Condition(self.features.repeat(times, 1), Voxels(keys, self.voxels.stride))


class ConditionEncoder(Contracting):
    """Encodes partial scans (LiDiff's ``partial_enc``)."""

    def forward(self, partial: Cloud) -> Condition:
        """Return the features of the partial scans at stride 16."""
        x = self.stem(partial.mean)
        for stage in (self.stage1, self.stage2, self.stage3, self.stage4):
            x = stage(x)
        return Condition(x.features, x.voxels)

    def encode(self, partial: Float[Tensor, "b p 3"] | None, scans: int) -> Condition:
        """Return the condition of a batch's partial scans, or of knowing nothing of ``scans``."""
        if partial is None:
            return self._unconditional(scans)
        scan = torch.arange(scans, device=partial.device).repeat_interleave(partial.shape[1])
        return self(voxelise(partial.flatten(0, 1), scan, self.config.voxel_size))

    def _unconditional(self, scans: int) -> Condition:
        """Encode knowing nothing, by running statistics always: one point has no variance.

        By a batch's own, gradients through nine normalisations grow by 1/√ε each, to 10⁷.
        """
        mode = self.training
        self.eval()
        try:
            return self.unconditional(scans)
        finally:
            self.train(mode)

    def unconditional(self, scans: int) -> Condition:
        """Return the condition of knowing nothing: one point at each sensor."""
        weight = next(self.parameters())
        points = torch.zeros(scans, 3, dtype=weight.dtype, device=weight.device)
        scan = torch.arange(scans, device=weight.device)
        return self(voxelise(points, scan, self.config.voxel_size))
