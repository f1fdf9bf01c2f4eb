"""A mixture of two Gaussians in the plane z = 0: its points, and its exact clean estimate."""

from dataclasses import dataclass

import torch
from torch import Tensor

from domains.batch import Batch
from domains.distillation.process import FlowMatching

WEIGHTS = torch.tensor([0.7, 0.3])
MEANS = torch.tensor([[-1.0, 0.0, 0.0], [1.0, 0.5, 0.0]])
STD = 0.2
_PLANE = torch.tensor([1.0, 1.0, 0.0])


@dataclass(frozen=True)
class PlaneFlow(FlowMatching):
    """The linear path, in the plane: nothing is centred, and z is 0."""

    centring: str = "none"

    def project(self, points: Tensor, batch: Batch) -> Tensor:
        """Return the real points, in the plane."""
        return points * batch.mask[..., None] * _PLANE.to(points.device)


def draw(shape: tuple[int, int, int], source: torch.Generator) -> Tensor:
    """Draw points [b, n, 3], each by itself."""
    which = (torch.rand(shape[:2], generator=source) > WEIGHTS[0]).long()
    return (MEANS[which] + STD * torch.randn(shape, generator=source)) * _PLANE


class Exact(torch.nn.Module):
    """E[x | x_t] of each point, with modes of standard deviation ``std``."""

    def __init__(self, std: float = STD):
        super().__init__()
        self.std = std

    def forward(
        self, noisy: Tensor, time: Tensor, batch: Batch, previous: Tensor | None = None
    ) -> Tensor:
        """Estimate the clean points."""
        t = time[:, None, None, None]
        variance = (t * self.std) ** 2 + (1 - t) ** 2
        away = noisy[:, :, None] - t * MEANS  # [b, n, modes, 3]
        logits = WEIGHTS.log() - (away**2).sum(-1) / (2 * variance[..., 0])
        means = MEANS + t * self.std**2 / variance * away
        clean = (logits.softmax(-1)[..., None] * means).sum(2)
        return clean * batch.mask[..., None] * _PLANE
