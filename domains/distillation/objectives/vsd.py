"""Variational score distillation / Diff-Instruct (arXiv 2305.16213, 2305.18455)."""

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

__all__ = ["VSD", "score_differences", "vsd_loss"]

_FLOOR = 1e-5


def vsd_loss(clean: Tensor, teacher: Tensor, fake: Tensor, batch: Batch) -> Tensor:
    """Return Σ sg(w Δ) · x / (3 n), whose gradient in x is that of the reverse KL.

    Δ = D_F − D_T and w = 1 / mean|x − D_T| (DMD's normaliser, arXiv 2311.18828, eq. 8).

    Args:
        clean: x, samples of the student [b, n, 3].
        teacher: D_T(x_t); no gradient is taken.
        fake: D_F(x_t); no gradient is taken.
        batch: Mask.
    """
    count = 3 * batch.sizes
    scale = per_sample((clean - teacher).detach().abs(), batch) / count
    value = per_sample((fake - teacher).detach() * clean, batch) / count
    return value / scale.clamp(min=_FLOOR)


def score_differences(
    clean: Tensor, roles: Roles, batch: Batch, draws: Draws, times: TimeDistribution
) -> tuple[Float[Tensor, " b"], dict[str, Tensor]]:
    """Noise samples of the student, ask both scores; return VSD losses and diagnostics."""
    teacher, fake, time = ask_scores(clean, roles, batch, draws, times, gradient=False)
    loss = vsd_loss(clean, teacher, fake, batch)
    return loss, lag(teacher, fake, clean, time, batch)


class VSD(Objective):
    """Reverse KL between noised samples, by a stop-gradient difference of scores.

    Args:
        scale: Factor of the student's loss.
        student_times: Where the student's loss is evaluated.
        fake_times: Where the fake score is trained.
    """

    fake_scores = ("fake",)

    def __init__(
        self,
        student_times: TimeDistribution,
        fake_times: TimeDistribution,
        scale: float = 1.0,
    ):
        self.student_times, self.fake_times, self.scale = student_times, fake_times, scale

    def fake_score_loss(self, name: str, roles: Roles, batch: Batch, draws: Draws) -> Loss:
        """Denoise the student's samples."""
        return denoise_samples(roles.fake(name), roles, batch, draws, self.fake_times)

    def student_loss(self, roles: Roles, batch: Batch, draws: Draws) -> Loss:
        """Push the sample along the difference of the two scores."""
        clean = roles.play(batch, draws, gradient=True)
        losses, noted = score_differences(clean, roles, batch, draws, self.student_times)
        return Loss(self.scale * losses.mean(), noted)
