"""Score identity Distillation (arXiv 2404.04057; few-step 2505.12674; proteins 2510.03095)."""

from typing import Literal

from jaxtyping import Float
from torch import Tensor

from domains.distillation.noise import TimeDistribution
from domains.distillation.objectives.objective import (
    Objective,
    ask_scores,
    denoise_samples,
    lag,
    per_sample,
)
from domains.distillation.roles import Draws, Loss, Roles
from domains.domain import Batch

__all__ = ["SiD", "score_identity", "sid_loss"]

# Keeps the weight finite when the teacher already agrees with the student (SiD's own floor).
_FLOOR = 1e-5


def sid_loss(
    clean: Tensor,
    teacher: Tensor,
    fake: Tensor,
    batch: Batch,
    alpha: float,
    weighting: Literal["mean", "reference"],
) -> Tensor:
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
    clean: Tensor,
    roles: Roles,
    batch: Batch,
    draws: Draws,
    times: TimeDistribution,
    alpha: float,
    weighting: Literal["mean", "reference"],
) -> tuple[Float[Tensor, " b"], dict[str, Tensor]]:
    """Noise samples of the student, ask both scores; return SiD losses and diagnostics."""
    teacher, fake, time = ask_scores(clean, roles, batch, draws, times, gradient=True)
    loss = sid_loss(clean, teacher, fake, batch, alpha, weighting)
    return loss, lag(teacher, fake, clean, time, batch)


class SiD(Objective):
    """Model-based Fisher divergence between the student's and the teacher's noised samples.

    Args:
        alpha: α of the loss.
        scale: Factor of the student's loss (before clipping; SiD_Protein uses 100).
        weighting: See ``sid_loss``.
        student_times: Where the student's loss is evaluated.
        fake_times: Where the fake score is trained.
    """

    fake_scores = ("fake",)

    def __init__(
        self,
        student_times: TimeDistribution,
        fake_times: TimeDistribution,
        alpha: float = 1.0,
        scale: float = 100.0,
        weighting: Literal["mean", "reference"] = "mean",
    ):
        self.student_times, self.fake_times = student_times, fake_times
        self.alpha, self.scale = alpha, scale
        self.weighting: Literal["mean", "reference"] = weighting

    def fake_score_loss(self, name: str, roles: Roles, batch: Batch, draws: Draws) -> Loss:
        """Denoise the student's samples."""
        return denoise_samples(roles.fake(name), roles, batch, draws, self.fake_times)

    def student_loss(self, roles: Roles, batch: Batch, draws: Draws) -> Loss:
        """Evaluate both scores on a noised sample and differentiate through everything."""
        clean = roles.play(batch, draws, gradient=True)
        losses, noted = score_identity(
            clean, roles, batch, draws, self.student_times, self.alpha, self.weighting
        )
        return Loss(self.scale * losses.mean(), noted)
