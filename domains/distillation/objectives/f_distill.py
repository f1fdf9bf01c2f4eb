"""f-distill (arXiv 2502.15681): any f-divergence, by weighing each sample of VSD."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from domains.config.objectives import Divergence
from domains.distillation.noise import TimeDistribution
from domains.distillation.objectives.adversarial import Adversarial, Judge, Listener, mean_logit
from domains.distillation.objectives.vsd import VSD, score_differences
from domains.distillation.roles import Draws, Loss, Roles
from domains.domain import Batch

__all__ = ["DIVERGENCES", "FDistill"]

# h(r) = r² f″(r), r = p_data / p_student (2502.15681, table 1).
DIVERGENCES: dict[Divergence, Callable[[Tensor], Tensor]] = {
    "reverse_kl": torch.ones_like,
    "kl": lambda r: r,
    "jensen_shannon": lambda r: r / (1 + r),
    "softened_reverse_kl": lambda r: 1 / (1 + r),
    "hellinger": torch.sqrt,
    "jeffreys": lambda r: 1 + r,
    "neyman": lambda r: 1 / r,
}

# Bound of |log r|: beyond it a discriminator only says that it is sure.
_SURE = 3.0


class FDistill(Adversarial):
    """VSD weighed by h(r), and the discriminator that knows r.

    Args:
        divergence: Which h; ``reverse_kl`` is DMD2.
        student_times: Where the student's loss is evaluated.
        fake_times: Where the fake score is trained.
        judge: What the fake score's features say (see ``Domain.judge``).
        examples: Real data, as many as there are samples in a micro-batch.
        weight: Of the student's adversarial term.
        critic_weight: Of the discriminator's loss.
        scale: Factor of the student's loss, without the adversarial term.
    """

    def __init__(
        self,
        divergence: Divergence,
        student_times: TimeDistribution,
        fake_times: TimeDistribution,
        judge: Judge,
        examples: Callable[[Draws], Batch],
        weight: float,
        critic_weight: float,
        scale: float = 1.0,
    ):
        super().__init__(VSD(student_times, fake_times), judge, examples, weight, critic_weight)
        self.divergence: Divergence = divergence
        self.student_times, self.fake_times, self.scale = student_times, fake_times, scale

    def student_loss(self, roles: Roles, batch: Batch, draws: Draws) -> Loss:
        """Push samples along the difference of the scores, the more the larger h(r)."""
        listener = Listener(roles, "fake", self.judge)
        clean = roles.play(batch, draws, gradient=True)
        losses, noted = score_differences(clean, listener.roles, batch, draws, self.student_times)
        weights = importance(mean_logit(listener.logits, batch).detach(), self.divergence)
        looks = self.looks_real(listener, batch)
        value = self.scale * (weights * losses).mean() + self.weight * looks.value
        noted |= {"weight_spread": weights.std(unbiased=False), **looks.diagnostics}
        return Loss(value, noted)


def importance(logit: Float[Tensor, " b"], divergence: Divergence) -> Float[Tensor, " b"]:
    """Return h(r) of each sample over the batch's mean, r = exp(logit), |logit| bounded."""
    weights = DIVERGENCES[divergence](logit.clamp(-_SURE, _SURE).exp())
    return weights / weights.mean()
