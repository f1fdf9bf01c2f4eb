"""Score Implicit Matching (arXiv 2410.16794) with the pseudo-Huber distance."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from domains.batch import Batch
from domains.distillation.objectives.objective import (
    Objective,
    ObjectiveConfig,
    ask_scores,
    denoise_samples,
    lag,
    per_sample,
)
from domains.distillation.roles import Draws, Loss, Roles
from domains.distillation.times import Times
from domains.lazy import torch

__all__ = ["SIM", "SIMConfig", "sim_loss"]


def sim_loss(
    clean: torch.Tensor, teacher: torch.Tensor, fake: torch.Tensor, batch: Batch, huber: float
) -> torch.Tensor:
    """Return −∇d(Δ) · (D_F − x) of each sample, gradients through all.

    Δ = D_F − D_T, d(y) = sqrt(‖y‖² + c²) − c (2410.16794). There it stands on scores,
    s = (t D − x_t)/(1 − t)²; here w(t) makes up for the factor, so that all times count in the
    data's unit. With d(y) = ‖y‖²/2 it is SiD with α = 1.

    Args:
        clean: x, samples of the student [b, n, 3].
        teacher: D_T(x_t), differentiable in x_t.
        fake: D_F(x_t), differentiable in x_t.
        batch: Mask.
        huber: c, in the data's unit, for a root mean square over coordinates.
    """
    count = 3 * batch.sizes
    difference = fake - teacher
    square = per_sample(difference**2, batch) / count
    product = per_sample(difference * (fake - clean), batch) / count
    return -product / (square + huber**2).sqrt()


class SIMConfig(ObjectiveConfig):
    """Score Implicit Matching with the pseudo-Huber distance (2410.16794)."""

    degradable: ClassVar[bool] = True
    shares_roll_out: ClassVar[bool] = True
    kind: Literal["sim"] = "sim"
    """Chooses this objective."""
    huber: float = Field(default=0.01, gt=0)
    """c of the distance, in nm or m: smaller differences of the scores count squared."""
    scale: float = Field(default=1.0, gt=0)
    """Factor of the student's loss, before clipping."""
    student_times: Times = Times(kind="log_grid", low=0.02, high=0.98)
    """Times of the student's loss."""
    fake_times: Times = Times(kind="beta", low=0.02, high=0.98)
    """Times of the fake score's loss."""


class SIM(Objective[SIMConfig]):
    """A robust Fisher-type divergence: where SiD squares the difference, this takes its size."""

    fake_scores = ("fake",)

    def fake_score_loss(self, name: str, roles: Roles, batch: Batch, draws: Draws) -> Loss:
        """Denoise the student's samples."""
        return denoise_samples(roles.fake(name), roles, batch, draws, self.settings.fake_times)

    def student_loss(self, roles: Roles, batch: Batch, draws: Draws) -> Loss:
        """Evaluate both scores on a noised sample and differentiate through everything."""
        clean = roles.play(batch, draws, gradient=True)
        teacher, fake, time = ask_scores(
            clean, roles, batch, draws, self.settings.student_times, gradient=True
        )
        loss = sim_loss(clean, teacher, fake, batch, self.settings.huber)
        return Loss(self.settings.scale * loss.mean(), lag(teacher, fake, clean, time, batch))
