"""Progressive distillation of a stochastic sampler, along the student's own roll-outs.

Salimans & Ho (arXiv 2202.00512) let one step of the student do what two of the teacher's ODE do.
Here it does what several re-noising steps of the teacher do, which samples better than the ODE
where the teacher is sharpened (noise scales below 1).
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from domains.batch import Batch
from domains.device import sent
from domains.distillation.objectives.objective import Objective, ObjectiveConfig, pseudo_huber
from domains.distillation.roles import Draws, Loss, Roles, by_time
from domains.distillation.sampling.sampler import Step, last, renoise
from domains.lazy import torch

__all__ = ["Progressive", "ProgressiveConfig"]


class ProgressiveConfig(ObjectiveConfig):
    """Progressive distillation of re-noising, on the student's own roll-outs (after 2202.00512)."""

    kind: Literal["progressive"] = "progressive"
    """Chooses this objective."""
    substeps: int = Field(default=4, ge=1, le=100)
    """Re-noising steps of the teacher that one step of the student learns to make."""
    noise_scale: float = Field(default=1.0, ge=0)
    """Noise scale γ of them."""
    huber: float = Field(default=0.01, gt=0)
    """c of the distance, in nm or m: smaller distances count squared."""
    scale: float = Field(default=1.0, gt=0)
    """Factor of the loss, before clipping."""


class Progressive(Objective[ProgressiveConfig]):
    """A step of the student ends where several steps of the teacher end, on average.

    The student plays to one of its steps, at t_k. From the same noisy points the teacher makes
    ``substeps`` re-noising steps, at times evenly spread from t_k to the student's next one (1
    after the last). Its last clean estimate is the target; no fake score is needed.

    What a step can learn so is the mean of what follows. Re-noising starts from estimates, not
    from samples, so it draws together: for Gaussian data of mean m, a step at t turns x̂ − m into
    k t (x̂ − m), k t < 1 (k is the slope of the posterior's mean).
    """

    def student_loss(self, roles: Roles, batch: Batch, draws: Draws) -> Loss:
        """Compare a step of the student with where the teacher ends."""
        step = roles.rolled.take(roles.student, roles.process, batch, draws, gradient=True)
        with torch.no_grad():
            target = roles.process.target(self._end(step, roles, batch, draws), batch)
        estimate = roles.process.target(step.points, batch)
        distance = pseudo_huber(estimate, target, batch, self.settings.huber)
        seen = distance.detach()
        noted = by_time("distance", seen, torch.full_like(seen, step.time))
        return Loss(self.settings.scale * distance.mean(), {"distance": seen.mean(), **noted})

    def _end(self, step: Step, roles: Roles, batch: Batch, draws: Draws) -> torch.Tensor:
        """Return the clean estimate of the teacher's last step."""
        assert roles.teacher is not None
        first, (_, until) = torch.tensor(step.time), roles.rolled.stretch(step.time)
        times = torch.lerp(
            first,
            torch.tensor(until),
            torch.arange(self.settings.substeps) / self.settings.substeps,
        )
        clean = roles.teacher(
            step.noisy, sent(first, step.noisy.device).expand(len(batch.mask)), batch
        )
        if self.settings.substeps == 1:
            return clean
        noise = draws.noise("teacher")
        rest = renoise(
            roles.teacher,
            roles.process,
            batch,
            times[1:],
            noise,
            self.settings.noise_scale,
            start=clean,
        )
        return last(rest)
