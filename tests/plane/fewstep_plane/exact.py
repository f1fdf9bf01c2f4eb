"""The exact clean estimate of the mixture: a teacher that objectives are held to the truth with."""

import torch
from torch import Tensor

from domains.batch import Batch
from fewstep_plane.mixture import MEANS, PLANE, STD, WEIGHTS


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
        return clean * batch.mask[..., None] * PLANE
