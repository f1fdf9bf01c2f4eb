"""Score Implicit Matching (arXiv 2410.16794) with the pseudo-Huber distance."""

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

__all__ = ["SIM", "sim_loss"]


def sim_loss(clean: Tensor, teacher: Tensor, fake: Tensor, batch: Batch, huber: float) -> Tensor:
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


class SIM(Objective):
    """A robust Fisher-type divergence: where SiD squares the difference, this takes its size.

    Args:
        huber: c of the distance: differences below it count squared.
        scale: Factor of the student's loss.
        student_times: Where the student's loss is evaluated.
        fake_times: Where the fake score is trained.
    """

    fake_scores = ("fake",)

    def __init__(
        self,
        student_times: TimeDistribution,
        fake_times: TimeDistribution,
        huber: float = 0.01,
        scale: float = 1.0,
    ):
        self.student_times, self.fake_times = student_times, fake_times
        self.huber, self.scale = huber, scale

    def fake_score_loss(self, name: str, roles: Roles, batch: Batch, draws: Draws) -> Loss:
        """Denoise the student's samples."""
        return denoise_samples(roles.fake(name), roles, batch, draws, self.fake_times)

    def student_loss(self, roles: Roles, batch: Batch, draws: Draws) -> Loss:
        """Evaluate both scores on a noised sample and differentiate through everything."""
        clean = roles.play(batch, draws, gradient=True)
        asked = ask_scores(clean, roles, batch, draws, self.student_times, gradient=True)
        teacher, fake, time = asked
        loss = sim_loss(clean, teacher, fake, batch, self.huber)
        return Loss(self.scale * loss.mean(), lag(teacher, fake, clean, time, batch))
