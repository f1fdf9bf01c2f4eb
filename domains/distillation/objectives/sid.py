"""Score identity Distillation (arXiv 2404.04057; few-step 2505.12674; proteins 2510.03095)."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from jaxtyping import Float
from pydantic import Field

from domains.batch import Batch
from domains.distillation.objectives.adversarial import AdversarialConfig, with_discriminator
from domains.distillation.objectives.objective import (
    Objective,
    ObjectiveConfig,
    Resources,
    ask_scores,
    denoise_samples,
    lag,
    per_sample,
)
from domains.distillation.roles import Draws, Loss, Roles
from domains.distillation.times import Times
from domains.lazy import torch

__all__ = ["SiD", "SiDConfig", "score_identity", "sid_loss"]

# Keeps the weight finite when the teacher already agrees with the student (SiD's own floor).
_FLOOR = 1e-5


def sid_loss(
    clean: torch.Tensor,
    teacher: torch.Tensor,
    fake: torch.Tensor,
    batch: Batch,
    alpha: float,
    weighting: Literal["mean", "reference"],
) -> torch.Tensor:
    """Return SiD's loss of each sample (2404.04057, eq. 23, on clean estimates).

    w (D_T − D_F) · [(D_T − x) − α (D_T − D_F)], w = 1 / Σ|x − D_T|, gradients through all.

    Args:
        clean: x, samples of the student [b, n, 3].
        teacher: D_T(x_t), differentiable in x_t.
        fake: D_F(x_t), differentiable in x_t.
        batch: Mask.
        alpha: α; 1.2 for images, 1.0 for proteins.
        weighting: "reference" divides by Σ|x − D_T| and by the number of points, so that
            short chains count more; "mean" divides by the mean |x − D_T|, all count alike.
    """
    difference = teacher - fake
    value = per_sample(difference * ((teacher - clean) - alpha * difference), batch)
    scale = per_sample((clean - teacher).detach().abs(), batch)
    if weighting == "reference":
        return value / scale / batch.sizes
    return value / scale.clamp(min=_FLOOR * 3)


def score_identity(
    clean: torch.Tensor,
    roles: Roles,
    batch: Batch,
    draws: Draws,
    times: Times,
    alpha: float,
    weighting: Literal["mean", "reference"],
) -> tuple[Float[torch.Tensor, " b"], dict[str, torch.Tensor]]:
    """Noise samples of the student, ask both scores; return SiD losses and diagnostics."""
    teacher, fake, time = ask_scores(clean, roles, batch, draws, times, gradient=True)
    loss = sid_loss(clean, teacher, fake, batch, alpha, weighting)
    return loss, lag(teacher, fake, clean, time, batch)


class SiDConfig(ObjectiveConfig):
    """Score identity Distillation; the defaults are 2510.03095's."""

    degradable: ClassVar[bool] = True
    shares_roll_out: ClassVar[bool] = True
    kind: Literal["sid"] = "sid"
    """Chooses this objective."""
    alpha: float = 1.0
    """α of the loss: 1.2 for images, 1.0 for proteins."""
    scale: float = Field(default=100.0, gt=0)
    """Factor of the student's loss, before clipping."""
    weighting: Literal["mean", "reference"] = "mean"
    """`mean`: all sizes count alike; `reference`: small ones more, as in SiD_Protein."""
    student_times: Times = Times(kind="log_grid", low=0.02, high=0.98)
    """Times of the student's loss."""
    fake_times: Times = Times(kind="beta", low=0.02, high=0.98)
    """Times of the fake score's loss."""
    adversarial: AdversarialConfig | None = None
    """Add a discriminator, and so real data: SiDA; none: data-free."""


class SiD(Objective[SiDConfig]):
    """Model-based Fisher divergence between the student's and the teacher's noised samples."""

    fake_scores = ("fake",)

    @classmethod
    def build(cls, settings: SiDConfig, resources: Resources) -> Objective[Any]:
        """Build the objective, and its discriminator if it has one."""
        return with_discriminator(cls(settings), settings.adversarial, resources)

    def fake_score_loss(self, name: str, roles: Roles, batch: Batch, draws: Draws) -> Loss:
        """Denoise the student's samples."""
        return denoise_samples(roles.fake(name), roles, batch, draws, self.settings.fake_times)

    def student_loss(self, roles: Roles, batch: Batch, draws: Draws) -> Loss:
        """Evaluate both scores on a noised sample and differentiate through everything."""
        clean = roles.play(batch, draws, gradient=True)
        losses, noted = score_identity(
            clean,
            roles,
            batch,
            draws,
            self.settings.student_times,
            self.settings.alpha,
            self.settings.weighting,
        )
        return Loss(self.settings.scale * losses.mean(), noted)
