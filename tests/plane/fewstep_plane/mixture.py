"""A mixture of two Gaussians in the plane z = 0, and the path from noise to its points."""

from dataclasses import dataclass

import torch
from torch import Tensor

from domains.batch import Batch
from domains.distillation.process import FlowMatching

WEIGHTS = torch.tensor([0.7, 0.3])
MEANS = torch.tensor([[-1.0, 0.0, 0.0], [1.0, 0.5, 0.0]])
STD = 0.2
PLANE = torch.tensor([1.0, 1.0, 0.0])


@dataclass(frozen=True)
class PlaneFlow(FlowMatching):
    """The linear path, in the plane: nothing is centred, and z is 0."""

    centring: str = "none"

    def project(self, points: Tensor, batch: Batch) -> Tensor:
        """Return the real points, in the plane."""
        return points * batch.mask[..., None] * PLANE.to(points.device)


def draw(shape: tuple[int, int, int], source: torch.Generator) -> Tensor:
    """Draw points [b, n, 3], each by itself."""
    which = (torch.rand(shape[:2], generator=source) > WEIGHTS[0]).long()
    return (MEANS[which] + STD * torch.randn(shape, generator=source)) * PLANE
