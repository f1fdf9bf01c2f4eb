"""rCM (arXiv 2510.08431): continuous-time consistency, regularised by the difference of scores.

Consistency covers all of the data and blurs; the difference of scores is sharp and may leave data
out. Each mends the other.
"""

from __future__ import annotations

from typing import Literal

from jaxtyping import Float
from pydantic import Field

from domains.batch import Batch
from domains.device import sent
from domains.distillation.objectives.objective import (
    Objective,
    ObjectiveConfig,
    Resources,
    Student,
    denoise_samples,
    per_sample,
)
from domains.distillation.objectives.vsd import score_differences
from domains.distillation.process import NoiseProcess
from domains.distillation.roles import Draws, Loss, Roles, by_time
from domains.distillation.times import Times
from domains.lazy import torch

__all__ = ["RCM", "RCMConfig", "tangent"]

# c of the tangent's normalisation (sCM, arXiv 2410.11081, section 4.2), in the data's unit.
_FLOOR = 0.1


def tangent(
    roles: Roles,
    clean: Float[torch.Tensor, "b n 3"],
    noisy: Float[torch.Tensor, "b n 3"],
    time: Float[torch.Tensor, " b"],
    batch: Batch,
    difference: float,
    share: float = 1.0,
) -> Float[torch.Tensor, "b n 3"]:
    """Return dD/dt of the student's estimate along the teacher's ODE, by a finite difference.

    In a time h the teacher leads from x_t to x', while the student's own estimate and noise lead
    to x″. D moves by D(x', t + h) − D(x_t, t), of which x' − x″ is what a change of its direction
    (velocity, noise) would leave out. That change is the part that is unstable at first, and sCM
    (2410.11081, eq. 6 and section 4.2) warms it up:

        dD/dt = [(x' − x″) + r (D(x', t + h) − D(x_t, t) − (x' − x″))] / h

    Args:
        roles: Student, teacher, process.
        clean: D(x_t, t), without gradient.
        noisy: x_t.
        time: t of each sample, at most 1 − h.
        batch: Mask, origin, condition.
        difference: h.
        share: r in [0, 1]; at 0 only the teacher's direction counts, at 1 it is the tangent.
    """
    assert roles.teacher is not None
    process, after = roles.process, time + difference
    end = process.target(roles.teacher(noisy, time, batch), batch)
    teacher, own = (_moved(each, noisy, time, after, batch, process) for each in (end, clean))
    direction = teacher - own
    whole = process.target(roles.student(teacher, after, batch), batch) - clean
    return (direction + share * (whole - direction)) / difference


def _moved(
    clean: torch.Tensor,
    noisy: torch.Tensor,
    time: torch.Tensor,
    after: torch.Tensor,
    batch: Batch,
    process: NoiseProcess,
) -> torch.Tensor:
    """Make one Euler step of the ODE from ``noisy`` along a clean estimate [b, n, 3]."""
    noise = process.noise_of(clean, noisy, time, batch)
    return process.perturb(clean, noise, after, batch)


class RCMConfig(ObjectiveConfig):
    """rCM: continuous-time consistency on real data, and VSD (2510.08431)."""

    kind: Literal["rcm"] = "rcm"
    """Chooses this objective."""
    weight: float = Field(default=100.0, gt=0)
    """Of the consistency; the difference of the scores has 1."""
    difference: float = Field(default=0.005, ge=0.001, le=0.1)
    """Step in time of the tangent; 0.001 is one of LiDiff's."""
    warmup: int = Field(default=0, ge=0)
    """Steps over which the tangent grows from the teacher's direction to the whole; VSD begins
    thereafter. The authors take 300 to 1000."""
    scale: float = Field(default=1.0, gt=0)
    """Factor of the student's loss, before clipping."""
    tangent_times: Times = Times(kind="log_grid", low=0.02, high=0.98)
    """Times of the consistency."""
    student_times: Times = Times(kind="log_grid", low=0.02, high=0.98)
    """Times of VSD."""
    fake_times: Times = Times(kind="beta", low=0.02, high=0.98)
    """Times of the fake score's loss."""

    def check(self, student: Student) -> None:
        """The rounding of half precision is as large as the difference that rCM divides."""
        if student.precision != "32-true":
            raise ValueError("fit.precision: must be 32-true for the objective rcm")


class RCM(Objective[RCMConfig]):
    """The student stays the same along trajectories of the teacher, and its samples look right."""

    fake_scores = ("fake",)

    def __init__(self, settings: RCMConfig, resources: Resources):
        super().__init__(settings)
        self.examples = resources.examples()

    def fake_score_loss(self, name: str, roles: Roles, batch: Batch, draws: Draws) -> Loss:
        """Denoise the student's samples."""
        return denoise_samples(roles.fake(name), roles, batch, draws, self.settings.fake_times)

    def student_loss(self, roles: Roles, batch: Batch, draws: Draws) -> Loss:
        """Follow the tangent on noised data, and the scores' difference on samples."""
        consistency, noted = self._consistency(roles, draws)
        value = self.settings.weight * consistency
        if roles.step >= self.settings.warmup:
            clean = roles.play(batch, draws, gradient=True)
            losses, more = score_differences(
                clean, roles, batch, draws, self.settings.student_times
            )
            value, noted = value + losses.mean(), noted | more
        return Loss(self.settings.scale * value, noted)

    def _consistency(
        self, roles: Roles, draws: Draws
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """Return −Σ ĝ · D sqrt(w) / (3 n), ĝ = g / (‖g‖ + c): the network's output moves along g.

        sqrt(w) makes of D the network's output (velocity or noise): the denoising loss weighs
        the square of its error by w. In sCM (eq. 8) g has a factor of time beside it, which the
        norm takes off but for c.
        """
        real, process = self.examples(draws), roles.process
        assert real.points is not None
        time = self.settings.tangent_times.sample(len(real.mask), draws.source("time of data"))
        time = sent(time.clamp(max=1 - self.settings.difference), real.mask.device)
        noise = draws.noise("noise of data")(real.shape)
        noisy = process.perturb(real.points, noise, time, real)
        clean = process.target(roles.student(noisy, time, real), real)
        share = min(1.0, roles.step / self.settings.warmup) if self.settings.warmup else 1.0
        with torch.no_grad():
            at = clean.detach()
            moved = tangent(roles, at, noisy, time, real, self.settings.difference, share)
            norm = per_sample(moved**2, real).sqrt()
            unit = moved / (norm + _FLOOR)[:, None, None]
            size = norm / (3 * real.sizes).sqrt()
        weight = process.denoising_weight(time).sqrt() / (3 * real.sizes)
        loss = -(weight * per_sample(unit * clean, real)).mean()
        return loss, {"tangent": size.mean(), **by_time("tangent", size, time)}
