"""Training the refinement: from a jittered scene to the scene, by Chamfer distance."""

import torch
from torch import Tensor

from domains.batch import Batch
from domains.distillation.roles import Draws, Loss
from domains.lidar.denoiser import LidarDenoiser
from domains.lidar.losses.structure import chamfer_squared

__all__ = ["refinement_loss"]

# Metre; LiDiff's jitter, which stands for the errors of a completion.
_JITTER, _MOST = 0.2, 0.3


def refinement_loss(denoiser: LidarDenoiser, batch: Batch, draws: Draws) -> Loss:
    """Return the squared Chamfer distance of refined points (Nunes et al. 2024, sec. III-D).

    Args:
        denoiser: Whose refinement is trained.
        batch: Scenes: truth in ``points``, metre.
        draws: Numbers of this micro-batch.
    """
    assert batch.points is not None
    noise = draws.noise("jitter")(batch.shape)
    jittered = batch.points + (_JITTER * noise).clamp(-_MOST, _MOST)
    losses: list[Tensor] = []
    for scene, truth in zip(jittered, batch.points, strict=True):
        losses.append(chamfer_squared(denoiser.refine(scene), truth))
    loss = torch.stack(losses).mean()
    return Loss(loss, {"chamfer_squared": loss.detach()})
