"""Phased DMD (arXiv 2510.27684): VSD phase by phase of a roll-out, each up to its own noise."""

import math

import torch

from domains.distillation.noise import TimeDistribution
from domains.distillation.objectives.diffused import Diffused, diffuse_on
from domains.distillation.objectives.objective import Objective, ask_at, denoise_at, lag
from domains.distillation.objectives.vsd import vsd_loss
from domains.distillation.roles import Draws, Loss, Roles
from domains.domain import Batch

__all__ = ["PhasedDMD"]


class PhasedDMD(Objective):
    """Each phase of the roll-out has a fake score of its own, and samples at its own noise.

    The steps of the roll-out are parted into phases. A phase ends at t', where the next begins
    (the last one at the data), and there its samples are to be the teacher's, noised to t': they
    are diffused on to any τ < t' and both scores compared. The fake score never sees clean
    samples of a phase. What it learns is re-derived: the clean estimate whose score is
    ∇ log q(x_τ | x_t'). With one phase this is VSD. A phase of several steps is trained at one
    of them, whose estimate leads straight to the phase's end.

    Not the paper's: one student plays all phases, and they are trained together. There each has
    an expert, and is trained when the ones before it are finished and frozen.

    Args:
        student_times: Where the student's loss is evaluated, squeezed below each phase's end.
        fake_times: Where the fake scores are trained, squeezed likewise.
        phases: Number of phases, at most the steps of the roll-out.
        scale: Factor of the student's loss.
    """

    def __init__(
        self,
        student_times: TimeDistribution,
        fake_times: TimeDistribution,
        phases: int = 2,
        scale: float = 1.0,
    ):
        self.student_times, self.fake_times = student_times, fake_times
        self.phases, self.scale = phases, scale
        self.fake_scores = tuple(f"phase{k + 1}" for k in range(phases))

    def fake_score_loss(self, name: str, roles: Roles, batch: Batch, draws: Draws) -> Loss:
        """Learn the score of a phase's samples, diffused on from where the phase ends."""
        first, after = self._steps(self.fake_scores.index(name), roles)
        step = first + draws.integer("step", after - first)
        at = self._land(step, roles, batch, draws, self.fake_times, gradient=False)
        # The target's variance grows as 1/share².
        target, weight = at.interval_target(roles.process, batch), at.share[:, 0, 0] ** 2
        return denoise_at(roles.fakes[name], target, at.noisy, at.time, roles, batch, weight)

    def student_loss(self, roles: Roles, batch: Batch, draws: Draws) -> Loss:
        """Push a step's clean estimate along the difference of the scores of its phase."""
        step = draws.integer("step", len(roles.rolled.times))
        name = self.fake_scores[self._phase(step, roles)]
        at = self._land(step, roles, batch, draws, self.student_times, gradient=True)
        teacher, fake = ask_at(at.noisy, at.time, roles, batch, name, gradient=False)
        loss = vsd_loss(at.clean, teacher, fake, batch)
        noted = lag(teacher, fake, at.clean, at.time, batch)
        return Loss(self.scale * loss.mean(), noted | {f"gap_{name}": noted["gap"]})

    def _phase(self, step: int, roles: Roles) -> int:
        """Return which phase a step is of; their sizes differ by one at most."""
        return step * self.phases // len(roles.rolled.times)

    def _steps(self, phase: int, roles: Roles) -> tuple[int, int]:
        """Return the first step of a phase, and that of the next."""
        own = [k for k in range(len(roles.rolled.times)) if self._phase(k, roles) == phase]
        return own[0], own[-1] + 1

    def _land(
        self,
        step: int,
        roles: Roles,
        batch: Batch,
        draws: Draws,
        times: TimeDistribution,
        *,
        gradient: bool,
    ) -> Diffused:
        """Take a step to the end of its phase, by the roll-out's own noise, and diffuse it on."""
        rolled, process = roles.rolled, roles.process
        taken = rolled.take(roles.student, process, batch, draws, gradient=gradient, step=step)
        clean = process.target(taken.points, batch)
        _, after = self._steps(self._phase(step, roles), roles)
        end = float(rolled.times[after]) if after < len(rolled.times) else 1.0
        with torch.no_grad():
            begin = torch.full_like(batch.sizes, taken.time)
            kept = process.noise_of(clean, taken.noisy, begin, batch)
            fresh = process.project(draws.noise("end of phase")(batch.shape), batch)
            noise = rolled.eta * fresh + math.sqrt(1 - rolled.eta**2) * kept
        return diffuse_on(clean, noise, end, process, batch, draws, times)
