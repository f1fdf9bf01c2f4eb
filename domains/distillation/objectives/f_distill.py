"""f-distill (arXiv 2502.15681): any f-divergence, by weighing each sample of VSD."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Literal

from jaxtyping import Float
from pydantic import Field

from domains.batch import Batch
from domains.distillation.objectives.adversarial import (
    Adversarial,
    AdversarialConfig,
    Listener,
    mean_logit,
)
from domains.distillation.objectives.objective import Objective, ObjectiveConfig, Resources, Student
from domains.distillation.objectives.vsd import VSD, VSDConfig, score_differences
from domains.distillation.roles import Draws, Loss, Roles
from domains.distillation.times import Times
from domains.lazy import torch

__all__ = ["DIVERGENCES", "FDistill", "FDistillConfig"]

Divergence = Literal[
    "reverse_kl", "kl", "jensen_shannon", "softened_reverse_kl", "hellinger", "jeffreys", "neyman"
]

# h(r) = r² f″(r), r = p_data / p_student (2502.15681, table 1).
DIVERGENCES: dict[Divergence, Callable[[Any], Any]] = {
    "reverse_kl": lambda r: torch.ones_like(r),
    "kl": lambda r: r,
    "jensen_shannon": lambda r: r / (1 + r),
    "softened_reverse_kl": lambda r: 1 / (1 + r),
    "hellinger": lambda r: r.sqrt(),
    "jeffreys": lambda r: 1 + r,
    "neyman": lambda r: 1 / r,
}

# Bound of |log r|: beyond it a discriminator only says that it is sure.
_SURE = 3.0


class FDistillConfig(ObjectiveConfig):
    """f-distill: VSD whose samples are weighed by a discriminator (2502.15681)."""

    degradable: ClassVar[bool] = True
    shares_roll_out: ClassVar[bool] = True
    kind: Literal["f_distill"] = "f_distill"
    """Chooses this objective."""
    divergence: Divergence = "jensen_shannon"
    """What is minimised; `reverse_kl` weighs all samples alike: DMD2."""
    adversarial: AdversarialConfig = AdversarialConfig()
    """The discriminator."""
    scale: float = Field(default=1.0, gt=0)
    """Factor of the student's loss, before clipping."""
    student_times: Times = Times(kind="log_grid", low=0.02, high=0.98)
    """Times of the student's loss."""
    fake_times: Times = Times(kind="beta", low=0.02, high=0.98)
    """Times of the fake score's loss."""

    def check(self, student: Student) -> None:
        """The weights are relative to a micro-batch's mean: of one sample they are 1."""
        if self.divergence != "reverse_kl" and student.batch_size < 2:
            raise ValueError("batch_size: f_distill weighs samples of a batch: at least 2")


class FDistill(Objective[FDistillConfig]):
    """VSD weighed by h(r), and the discriminator that knows r."""

    fake_scores = ("fake",)

    def __init__(self, settings: FDistillConfig, resources: Resources):
        super().__init__(settings)
        base = VSD(VSDConfig(student_times=settings.student_times, fake_times=settings.fake_times))
        self.adversarial = Adversarial(base, settings.adversarial, resources)

    def fake_score_loss(self, name: str, roles: Roles, batch: Batch, draws: Draws) -> Loss:
        """Learn the student's score, and to tell its samples from real data."""
        return self.adversarial.fake_score_loss(name, roles, batch, draws)

    def student_loss(self, roles: Roles, batch: Batch, draws: Draws) -> Loss:
        """Push samples along the difference of the scores, the more the larger h(r)."""
        given = self.settings
        listener = Listener(roles, "fake", self.adversarial.judge)
        clean = roles.play(batch, draws, gradient=True)
        losses, noted = score_differences(clean, listener.roles, batch, draws, given.student_times)
        weights = importance(mean_logit(listener.logits, batch).detach(), given.divergence)
        looks = self.adversarial.looks_real(listener, batch)
        value = given.scale * (weights * losses).mean() + given.adversarial.weight * looks.value
        noted |= {"weight_spread": weights.std(unbiased=False), **looks.diagnostics}
        return Loss(value, noted)


def importance(
    logit: Float[torch.Tensor, " b"], divergence: Divergence
) -> Float[torch.Tensor, " b"]:
    """Return h(r) of each sample over the batch's mean, r = exp(logit), |logit| bounded."""
    weights = DIVERGENCES[divergence](logit.clamp(-_SURE, _SURE).exp())
    return weights / weights.mean()
