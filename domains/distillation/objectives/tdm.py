"""Trajectory distribution matching (arXiv 2503.06674): VSD along the student's own trajectory."""

import torch

from domains.config.objectives import FakeTarget
from domains.distillation.noise import TimeDistribution
from domains.distillation.objectives.diffused import Diffused, diffuse_on
from domains.distillation.objectives.objective import (
    Objective,
    ask_at,
    denoise_at,
    lag,
)
from domains.distillation.objectives.vsd import vsd_loss
from domains.distillation.roles import Draws, Loss, Roles
from domains.domain import Batch

__all__ = ["TDM", "diffuse"]


def diffuse(
    roles: Roles, batch: Batch, draws: Draws, times: TimeDistribution, *, gradient: bool
) -> Diffused:
    """Take a step of the roll-out and diffuse the point it leads to (2503.06674, eq. 5).

    The step at t_k, with the clean estimate x, leads along the ODE to t', the next step's time;
    the last one to the data. The stretches [t_k, t'] don't overlap, so that one fake score can
    know all of them: a time says which step it belongs to.

    Args:
        roles: Student, process, roll-out.
        batch: Mask, origin, condition.
        draws: Numbers of this micro-batch.
        times: Of τ; squeezed into the stretch of the step.
        gradient: Keep the gradient of the step in ``clean``.

    Raises:
        ValueError: The roles have no roll-out.
    """
    process = roles.process
    step = roles.rolled.take(roles.student, process, batch, draws, gradient=gradient)
    clean = process.target(step.points, batch)
    low, high = roles.rolled.stretch(step.time)
    with torch.no_grad():
        begin = torch.full_like(batch.sizes, step.time)
        noise = process.noise_of(clean, step.noisy, begin, batch)
    return diffuse_on(clean, noise, high, process, batch, draws, times, low)


class TDM(Objective):
    """VSD at every step of a deterministic roll-out, each only in its own stretch of times.

    The student's signal is VSD's; its factor ∂x_t'/∂x, a positive number of each step, is left
    out, as in the authors' program.

    Args:
        student_times: Where the student's loss is evaluated, over all stretches.
        fake_times: Where the fake score is trained, over all stretches.
        fake_target: What the fake score is trained to give. "clean": the step's clean estimate,
            weighed by importance, as in the paper. It is the trajectory's score at the last
            step; before, only of small steps that follow the teacher: noise and estimate of one
            network call are not independent. "interval": the estimate whose score is that of
            the stretch (Phased DMD's, 2510.27684), at any step.
        scale: Factor of the student's loss.
    """

    fake_scores = ("fake",)

    def __init__(
        self,
        student_times: TimeDistribution,
        fake_times: TimeDistribution,
        fake_target: FakeTarget = "clean",
        scale: float = 1.0,
    ):
        self.student_times, self.fake_times, self.scale = student_times, fake_times, scale
        self.fake_target: FakeTarget = fake_target

    def fake_score_loss(self, name: str, roles: Roles, batch: Batch, draws: Draws) -> Loss:
        """Learn the score of the student's trajectory, in the stretch of one step."""
        at = diffuse(roles, batch, draws, self.fake_times, gradient=False)
        if self.fake_target == "clean":
            target, weight = at.clean, at.importance(batch)
        else:
            # The target's variance grows as 1/share².
            target, weight = at.interval_target(roles.process, batch), at.share[:, 0, 0] ** 2
        return denoise_at(roles.fake(name), target, at.noisy, at.time, roles, batch, weight)

    def student_loss(self, roles: Roles, batch: Batch, draws: Draws) -> Loss:
        """Push the step's clean estimate along the difference of the scores."""
        at = diffuse(roles, batch, draws, self.student_times, gradient=True)
        teacher, fake = ask_at(at.noisy, at.time, roles, batch, gradient=False)
        loss = vsd_loss(at.clean, teacher, fake, batch)
        return Loss(self.scale * loss.mean(), lag(teacher, fake, at.clean, at.time, batch))
