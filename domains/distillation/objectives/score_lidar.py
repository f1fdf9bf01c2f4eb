"""ScoreLiDAR: variational score distillation and structural errors (arXiv 2412.03515)."""

from collections.abc import Callable, Mapping

from torch import Tensor

from domains.distillation.noise import TimeDistribution
from domains.distillation.objectives.objective import Objective, denoise_samples
from domains.distillation.objectives.vsd import score_differences
from domains.distillation.roles import Draws, Loss, Roles
from domains.domain import Batch

__all__ = ["ScoreLiDAR"]


class ScoreLiDAR(Objective):
    """VSD plus weighted structural errors of the student's samples; not data-free.

    Args:
        student_times: Where the student's loss is evaluated.
        fake_times: Where the fake score is trained.
        structure: Differentiable errors by name, of samples and their batch.
        weights: λ of each structural error, by name.
        scale: Factor of the student's whole loss.
    """

    fake_scores = ("fake",)

    def __init__(
        self,
        student_times: TimeDistribution,
        fake_times: TimeDistribution,
        structure: Callable[[Tensor, Batch], dict[str, Tensor]],
        weights: Mapping[str, float],
        scale: float = 1.0,
    ):
        self.student_times, self.fake_times = student_times, fake_times
        self.structure, self.weights, self.scale = structure, weights, scale

    def fake_score_loss(self, name: str, roles: Roles, batch: Batch, draws: Draws) -> Loss:
        """Denoise the student's samples."""
        return denoise_samples(roles.fake(name), roles, batch, draws, self.fake_times)

    def student_loss(self, roles: Roles, batch: Batch, draws: Draws) -> Loss:
        """Add the structural errors to the difference of scores."""
        clean = roles.play(batch, draws, gradient=True)
        losses, terms = score_differences(clean, roles, batch, draws, self.student_times)
        total = losses.mean()
        for name, error in self.structure(clean, batch).items():
            total = total + self.weights[name] * error
            terms = {**terms, name: error.detach()}
        return Loss(self.scale * total, terms)
