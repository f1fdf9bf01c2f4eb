"""A denoiser of half a million weights to which everything matters, and scans for it."""

from typing import Any

import torch
from tiny_run import LIDAR_NETWORK

from domains.batch import Batch
from domains.lidar.denoiser import LidarDenoiser
from domains.lidar.network.config import NetworkConfig

__all__ = ["scans", "tiny_denoiser"]

# A new network's weights are so small that the condition changes the noise by 1e-6 only.
_GAIN = 2.5


def tiny_denoiser(seed: int = 0, refined: bool = False, **changes: Any) -> LidarDenoiser:
    """Return a denoiser with large random weights and random running statistics."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        config = NetworkConfig.parse(LIDAR_NETWORK | changes, "tests")
        model = LidarDenoiser(config, refined)
        for weight in model.parameters():
            if weight.dim() > 1:
                weight.data *= _GAIN
            else:  # a new network's rectifiers let no gradient through at zero
                weight.data += 0.1 * torch.randn(len(weight))
        for name, buffer in model.named_buffers():
            if name.endswith("running_mean"):
                buffer.normal_(std=0.1)
            if name.endswith("running_var"):
                buffer.uniform_(0.5, 2)
    return model.eval()


def scans(count: int = 2, seed: int = 0) -> Batch:
    """Return scans of 40 points and scenes of 200, a few metres wide."""
    source = torch.Generator().manual_seed(seed)
    partial = 3 * torch.randn(count, 40, 3, generator=source)
    origin = partial.repeat(1, 5, 1)
    truth = origin + 0.5 * torch.randn(origin.shape, generator=source)
    mask = torch.ones(origin.shape[:2], dtype=torch.bool)
    return Batch(mask=mask, points=truth, origin=origin, condition={"partial": partial})
