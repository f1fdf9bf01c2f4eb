"""Phased DMD (arXiv 2510.27684): VSD phase by phase of a roll-out, each up to its own noise."""

from __future__ import annotations

import math
from typing import Literal

from pydantic import Field

from domains.batch import Batch
from domains.distillation.objectives.diffused import Diffused, diffuse_on
from domains.distillation.objectives.objective import (
    Objective,
    ObjectiveConfig,
    Resources,
    Student,
    ask_at,
    denoise_at,
    lag,
)
from domains.distillation.objectives.vsd import vsd_loss
from domains.distillation.roles import Draws, Loss, Roles
from domains.distillation.times import Times
from domains.lazy import torch

__all__ = ["PhasedDMD", "PhasedDMDConfig"]


class PhasedDMDConfig(ObjectiveConfig):
    """Phased DMD: VSD in each phase of the roll-out, up to the noise it ends at (2510.27684).

    One student plays all phases; in the paper each has an expert.
    """

    kind: Literal["phased_dmd"] = "phased_dmd"
    """Chooses this objective."""
    phases: int = Field(default=2, ge=1, le=16)
    """Parts of the roll-out, each with a fake score; at most `roll_out.steps`."""
    scale: float = Field(default=1.0, gt=0)
    """Factor of the student's loss, before clipping."""
    student_times: Times = Times(kind="uniform", low=0.02, high=0.995)
    """Times of the student's loss, squeezed into those before the phase ends: evenly, as with
    TDM. Their end is later than VSD's, since only the last phase has late ones."""
    fake_times: Times = Times(kind="uniform", low=0.02, high=0.995)
    """Times of the fake scores' loss, squeezed likewise."""

    def check(self, student: Student) -> None:
        """A phase is made of whole steps."""
        if self.phases > student.roll_out.steps:
            raise ValueError("objective.phases: must not exceed roll_out.steps")


class PhasedDMD(Objective[PhasedDMDConfig]):
    """Each phase of the roll-out has a fake score of its own, and samples at its own noise.

    The steps of the roll-out are parted into phases. A phase ends at t', where the next begins
    (the last one at the data), and there its samples are to be the teacher's, noised to t': they
    are diffused on to any τ < t' and both scores compared. The fake score never sees clean
    samples of a phase. What it learns is re-derived: the clean estimate whose score is
    ∇ log q(x_τ | x_t'). With one phase this is VSD. A phase of several steps is trained at one
    of them, whose estimate leads straight to the phase's end.

    Not the paper's: one student plays all phases, and they are trained together. There each has
    an expert, and is trained when the ones before it are finished and frozen.
    """

    def __init__(self, settings: PhasedDMDConfig, resources: Resources | None = None):
        super().__init__(settings)
        self.fake_scores = tuple(f"phase{k + 1}" for k in range(settings.phases))

    def fake_score_loss(self, name: str, roles: Roles, batch: Batch, draws: Draws) -> Loss:
        """Learn the score of a phase's samples, diffused on from where the phase ends."""
        first, after = self._steps(self.fake_scores.index(name), roles)
        step = first + draws.integer("step", after - first)
        at = self._land(step, roles, batch, draws, self.settings.fake_times, gradient=False)
        # The target's variance grows as 1/share².
        target, weight = at.interval_target(roles.process, batch), at.share[:, 0, 0] ** 2
        return denoise_at(roles.fake(name), target, at.noisy, at.time, roles, batch, weight)

    def student_loss(self, roles: Roles, batch: Batch, draws: Draws) -> Loss:
        """Push a step's clean estimate along the difference of the scores of its phase."""
        step = draws.integer("step", len(roles.rolled.times))
        name = self.fake_scores[self._phase(step, roles)]
        at = self._land(step, roles, batch, draws, self.settings.student_times, gradient=True)
        teacher, fake = ask_at(at.noisy, at.time, roles, batch, name, gradient=False)
        loss = vsd_loss(at.clean, teacher, fake, batch)
        noted = lag(teacher, fake, at.clean, at.time, batch)
        return Loss(self.settings.scale * loss.mean(), noted | {f"gap_{name}": noted["gap"]})

    def _phase(self, step: int, roles: Roles) -> int:
        """Return the phase of a roll-out step, from 0; their sizes differ by one at most."""
        return step * self.settings.phases // len(roles.rolled.times)

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
        times: Times,
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
