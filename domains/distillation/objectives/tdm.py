"""Trajectory distribution matching (arXiv 2503.06674): VSD along the student's own trajectory."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from domains.batch import Batch
from domains.distillation.objectives.diffused import Diffused, diffuse_on
from domains.distillation.objectives.objective import (
    Objective,
    ObjectiveConfig,
    Student,
    ask_at,
    denoise_at,
    lag,
)
from domains.distillation.objectives.vsd import vsd_loss
from domains.distillation.roles import Draws, Loss, Roles
from domains.distillation.times import Times
from domains.lazy import torch

FakeTarget = Literal["clean", "interval"]

__all__ = ["TDM", "TDMConfig", "diffuse"]


def diffuse(roles: Roles, batch: Batch, draws: Draws, times: Times, *, gradient: bool) -> Diffused:
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


class TDMConfig(ObjectiveConfig):
    """Trajectory distribution matching: VSD along a deterministic roll-out (2503.06674)."""

    degradable: ClassVar[bool] = True
    kind: Literal["tdm"] = "tdm"
    """Chooses this objective; `roll_out.eta` must be 0."""
    fake_target: FakeTarget = "clean"
    """What the fake score learns: `clean` as in the paper, which is biased where steps are large,
    but for the last; `interval`, the trajectory's own score (that of Phased DMD, 2510.27684)."""
    scale: float = Field(default=1.0, gt=0)
    """Factor of the student's loss, before clipping."""
    student_times: Times = Times(kind="uniform", low=0.02, high=0.995)
    """Times of the student's loss, squeezed into those that belong to the step: evenly, as in the
    paper. Their end is later than VSD's, since only the last step has late ones."""
    fake_times: Times = Times(kind="uniform", low=0.02, high=0.995)
    """Times of the fake score's loss, squeezed likewise."""

    def check(self, student: Student) -> None:
        """TDM cuts the ODE's trajectory, which re-noising leaves."""
        if not student.roll_out.is_deterministic:
            raise ValueError("roll_out.eta: must be 0 for the objective tdm")


class TDM(Objective[TDMConfig]):
    """VSD at every step of a deterministic roll-out, each only in its own stretch of times.

    The student's signal is VSD's; its factor ∂x_t'/∂x, a positive number of each step, is left
    out, as in the authors' program.
    """

    fake_scores = ("fake",)

    def fake_score_loss(self, name: str, roles: Roles, batch: Batch, draws: Draws) -> Loss:
        """Learn the score of the student's trajectory, in the stretch of one step."""
        at = diffuse(roles, batch, draws, self.settings.fake_times, gradient=False)
        if self.settings.fake_target == "clean":
            target, weight = at.clean, at.importance(batch)
        else:
            # The target's variance grows as 1/share².
            target, weight = at.interval_target(roles.process, batch), at.share[:, 0, 0] ** 2
        return denoise_at(roles.fake(name), target, at.noisy, at.time, roles, batch, weight)

    def student_loss(self, roles: Roles, batch: Batch, draws: Draws) -> Loss:
        """Push the step's clean estimate along the difference of the scores."""
        at = diffuse(roles, batch, draws, self.settings.student_times, gradient=True)
        teacher, fake = ask_at(at.noisy, at.time, roles, batch, gradient=False)
        loss = vsd_loss(at.clean, teacher, fake, batch)
        return Loss(self.settings.scale * loss.mean(), lag(teacher, fake, at.clean, at.time, batch))
