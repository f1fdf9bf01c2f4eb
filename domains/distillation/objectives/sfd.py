"""Score forgetting distillation (arXiv 2409.11219): a student that has unlearned a class."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import torch
from jaxtyping import Bool
from torch import Tensor

from domains.distillation.denoiser import Denoiser
from domains.distillation.noise import TimeDistribution
from domains.distillation.objectives.objective import Objective, denoise_samples
from domains.distillation.objectives.sid import score_identity
from domains.distillation.roles import Draws, Loss, Roles
from domains.domain import Batch

__all__ = ["SFD", "Override"]

# Which samples are asked for what is to be forgotten, and the batch with what the teacher is told
# instead (see ``Domain.overriding``).
Override = Callable[[Batch], tuple[Bool[Tensor, " b"], Batch]]


@dataclass(frozen=True)
class _Told:
    """A denoiser that is told another condition than it is asked with."""

    denoiser: Denoiser
    told: Batch

    def __call__(
        self, noisy: Tensor, time: Tensor, batch: Batch, previous: Tensor | None = None
    ) -> Tensor:
        """Estimate the clean points of what it is told (see ``Denoiser``)."""
        return self.denoiser(noisy, time, self.told, previous)


class SFD(Objective):
    """SiD, in which the teacher answers for another class where the forgotten one is asked for.

    The fake score is always told what the student was asked: so samples of the forgotten class
    are drawn to the teacher's samples of the other one.

    Args:
        student_times: Where the student's loss is evaluated.
        fake_times: Where the fake score is trained.
        override: Which samples are to be forgotten, and what the teacher is told instead.
        weight: λ, of the forgotten samples; the others have 1.
        alpha: α of SiD's loss.
        scale: Factor of the student's loss.
        weighting: See ``sid_loss``.
    """

    fake_scores = ("fake",)

    def __init__(
        self,
        student_times: TimeDistribution,
        fake_times: TimeDistribution,
        override: Override,
        weight: float = 0.01,
        alpha: float = 1.2,
        scale: float = 100.0,
        weighting: Literal["mean", "reference"] = "mean",
    ):
        self.student_times, self.fake_times = student_times, fake_times
        self.override, self.weight, self.alpha, self.scale = override, weight, alpha, scale
        self.weighting: Literal["mean", "reference"] = weighting

    def fake_score_loss(self, name: str, roles: Roles, batch: Batch, draws: Draws) -> Loss:
        """Denoise the student's samples, of all classes."""
        return denoise_samples(roles.fake(name), roles, batch, draws, self.fake_times)

    def student_loss(self, roles: Roles, batch: Batch, draws: Draws) -> Loss:
        """Return SiD's loss with the teacher's answers overridden, samples weighed."""
        assert roles.teacher is not None
        forgotten, told = self.override(batch)
        told_so = replace(roles, teacher=_Told(roles.teacher, told))
        clean = roles.play(batch, draws, gradient=True)
        losses, noted = score_identity(
            clean, told_so, batch, draws, self.student_times, self.alpha, self.weighting
        )
        weights = torch.where(forgotten, self.weight, 1.0)
        noted |= {"forgotten": forgotten.float().mean()}
        return Loss(self.scale * (weights * losses).mean(), noted)
