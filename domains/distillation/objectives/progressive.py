"""Progressive distillation of a stochastic sampler, along the student's own roll-outs.

Salimans & Ho (arXiv 2202.00512) let one step of the student do what two of the teacher's ODE do.
Here it does what several re-noising steps of the teacher do, which samples better than the ODE
where the teacher is sharpened (noise scales below 1).
"""

import torch
from torch import Tensor

from domains.distillation.objectives.objective import Objective, per_sample
from domains.distillation.roles import Draws, Loss, Roles, by_time
from domains.distillation.sampling.sampler import Step, last, renoise
from domains.domain import Batch

__all__ = ["Progressive"]


class Progressive(Objective):
    """A step of the student ends where several steps of the teacher end, on average.

    The student plays to one of its steps, at t_k. From the same noisy points the teacher makes
    ``substeps`` re-noising steps, at times evenly spread from t_k to the student's next one (1
    after the last). Its last clean estimate is the target; no fake score is needed.

    What a step can learn so is the mean of what follows. Re-noising starts from estimates, not
    from samples, so it draws together: for Gaussian data of mean m, a step at t turns x̂ − m into
    k t (x̂ − m), k t < 1 (k is the slope of the posterior's mean).

    Args:
        substeps: Steps of the teacher; 1 is the teacher's own estimate.
        noise_scale: γ of their fresh noise.
        huber: c of the distance sqrt(RMS² + c²) − c, in the data's unit (2310.14189, eq. 8).
        scale: Factor of the loss.
    """

    fake_scores = ()

    def __init__(
        self, substeps: int = 4, noise_scale: float = 1.0, huber: float = 0.01, scale: float = 1.0
    ):
        self.substeps, self.noise_scale = substeps, noise_scale
        self.huber, self.scale = huber, scale

    def fake_score_loss(self, name: str, roles: Roles, batch: Batch, draws: Draws) -> Loss:
        """There is none."""
        raise ValueError(f"progressive distillation has no fake score {name}")

    def student_loss(self, roles: Roles, batch: Batch, draws: Draws) -> Loss:
        """Compare a step of the student with where the teacher ends."""
        step = roles.rolled.take(roles.student, roles.process, batch, draws, gradient=True)
        with torch.no_grad():
            target = roles.process.target(self._end(step, roles, batch, draws), batch)
        estimate = roles.process.target(step.points, batch)
        square = per_sample((estimate - target) ** 2, batch) / (3 * batch.sizes)
        distance = (square + self.huber**2).sqrt() - self.huber
        seen = distance.detach()
        noted = by_time("distance", seen, torch.full_like(seen, step.time))
        return Loss(self.scale * distance.mean(), {"distance": seen.mean(), **noted})

    def _end(self, step: Step, roles: Roles, batch: Batch, draws: Draws) -> Tensor:
        """Return the clean estimate of the teacher's last step."""
        assert roles.teacher is not None
        first, (_, until) = torch.tensor(step.time), roles.rolled.stretch(step.time)
        times = torch.lerp(first, torch.tensor(until), torch.arange(self.substeps) / self.substeps)
        clean = roles.teacher(
            step.noisy, first.to(step.noisy.device).expand(len(batch.mask)), batch
        )
        if self.substeps == 1:
            return clean
        noise = draws.noise("teacher")
        rest = renoise(
            roles.teacher, roles.process, batch, times[1:], noise, self.noise_scale, start=clean
        )
        return last(rest)
