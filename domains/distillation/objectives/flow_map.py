"""Flow-map distillation: one step of the student goes where many of the teacher's ODE go.

A deterministic sampler maps each point to the one where it arrives, so there is nothing to
average: a student that has learned the map is the sampler, only faster. It is learned along the
student's own roll-outs (a discrete Lagrangian flow map; arXiv 2606.08375 does the like), of the
ODE whose score is rescaled (``Rescale``).
"""

# torch.linalg has no types.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, pairwise
from typing import Annotated, Literal, cast

from jaxtyping import Float
from pydantic import Field

from domains.batch import Batch
from domains.device import sent
from domains.distillation.objectives.objective import (
    Objective,
    ObjectiveConfig,
    Student,
    pseudo_huber,
)
from domains.distillation.objectives.pair_distances import pair_distance_error
from domains.distillation.roles import Draws, Loss, Roles, by_time
from domains.distillation.sampling.sampler import ode_step
from domains.errors import FewstepError
from domains.lazy import torch

__all__ = ["FlowMap", "FlowMapConfig", "superposed"]


class FlowMapConfig(ObjectiveConfig):
    """Flow-map distillation of a deterministic sampler (after 2606.08375): data-free."""

    kind: Literal["flow_map"] = "flow_map"
    """Chooses this objective; `roll_out.eta` must be 0."""
    substeps: int = Field(default=6, ge=1, le=100)
    """Steps of the teacher's ODE that one step of the student learns to make."""
    huber: float = Field(default=0.02, gt=0)
    """c of the distance, in nm or m: smaller distances count squared."""
    pair_distances: float = Field(default=0.0, ge=0, exclude_if=lambda given: not given)
    """Weight, beside the points' distance, of the error of distances between near points, which
    tells local structure from a shift; each sample holds n² of them."""
    near: float = Field(default=1.0, gt=0, exclude_if=lambda given: given == 1)
    """Pairs that are nearer than this in the target count in `pair_distances`; in nm or m."""
    align: bool = False
    """Superpose each target on the student's estimate, so that rotations cost nothing."""
    step_weights: tuple[Annotated[float, Field(ge=0)], ...] = ()
    """Weight of each step of the roll-out in the loss; none: all alike."""
    drawn_steps: int = Field(default=0, ge=0, le=400)
    """Steps that learn in an update, drawn with odds `step_weights`; 0: all of them, so weighted.
    Both have the same mean, but the last steps, which are easy, cost as much as the others."""
    last_until: float | None = Field(default=None, gt=0, lt=1)
    """Time to which the teacher's ODE goes on from the last step, before its clean estimate is
    taken; none: taken at once. For students of few steps, whose last is at much noise."""
    scale: float = Field(default=1.0, gt=0)
    """Factor of the loss, before clipping."""

    def check(self, student: Student) -> None:
        """With fresh noise a step has no end to learn, only a mean of ends."""
        if not student.roll_out.is_deterministic:
            raise ValueError("roll_out.eta: must be 0 for the objective flow_map")
        if self.step_weights and len(self.step_weights) != student.roll_out.steps:
            raise ValueError("objective.step_weights: one for each of roll_out.steps")
        if self.step_weights and not any(self.step_weights):
            raise ValueError("objective.step_weights: at least one must be above 0")
        weights = self.step_weights or (1.0,) * student.roll_out.steps
        if self.drawn_steps > (most := sum(weights) / max(weights)):
            raise ValueError(
                f"objective.drawn_steps: at most {int(most)}, or the step of the largest weight"
                " would be drawn twice"
            )


class FlowMap(Objective[FlowMapConfig]):
    """All steps of a roll-out learn, in every update, where the teacher's ODE ends.

    The student plays its whole deterministic roll-out x_0 … x_{K−1} without gradient. From each
    x_k the teacher makes ``substeps`` steps of its ODE to the student's next time, and arrives at
    X. The student learns the clean estimate with which *its* one step ends at X,

        D* = (σ_k X − σ_{k+1} x_k) / (σ_k α_{k+1} − σ_{k+1} α_k)    (relative to the origin),

    and in its last step the teacher's own clean estimate, there or where its ODE arrives at
    ``last_until``. There are no fake scores and no data.
    """

    def student_loss(self, roles: Roles, batch: Batch, draws: Draws) -> Loss:
        """Compare every step of a roll-out with where the teacher's ODE takes its input."""
        chosen = self._chosen(len(roles.rolled.times), draws)
        rows = _play(roles, batch, draws, chosen, self.settings.last_until)
        with torch.no_grad():
            target = roles.process.target(self._target(rows, roles), rows.batch)
        estimate = roles.process.target(_ask_student(rows, roles), rows.batch)
        if self.settings.align:
            target = superposed(target, estimate.detach(), rows.batch)
        distance = pseudo_huber(estimate, target, rows.batch, self.settings.huber)
        seen = distance.detach()
        noted = {"distance": seen.mean(), **by_time("distance", seen, rows.time)}
        if weight := self.settings.pair_distances:
            near, huber = self.settings.near, self.settings.huber
            error = pair_distance_error(estimate, target, rows.batch, near, huber)
            distance = distance + weight * error
            noted["pair_distance_error"] = error.detach().mean()
        return Loss(self.settings.scale * (self._weights(rows) * distance).mean(), noted)

    def _target(self, rows: _Rows, roles: Roles) -> Float[torch.Tensor, "r n 3"]:
        """Return D* of each row."""
        (teacher, _), self_conditioning = roles.ode, roles.rolled.self_conditioning
        previous = teacher(rows.noisy, rows.time, rows.batch) if self_conditioning else None
        clean = teacher(rows.noisy, rows.time, rows.batch, previous)
        body = rows.before_last
        moved = body if self.settings.last_until is None else rows
        if not moved.steps:
            return clean
        count = len(body.time)
        end = self._integrate(moved, clean[: len(moved.time)], roles)
        if moved.steps > body.steps:
            last = rows.between(body.steps, rows.steps)
            told = clean[count:] if self_conditioning else None
            clean = torch.cat([clean[:count], teacher(end[count:], last.until, last.batch, told)])
        return torch.cat([_needed(body, end[:count], roles), clean[count:]]) if count else clean

    def _integrate(
        self, rows: _Rows, clean: torch.Tensor, roles: Roles
    ) -> Float[torch.Tensor, "r n 3"]:
        """Integrate the teacher's ODE from each row to its later time, from estimate ``clean``."""
        process, batch, (teacher, rescale) = roles.process, rows.batch, roles.ode
        points, time = rows.noisy, rows.time
        for number in range(1, self.settings.substeps + 1):
            later = process.between(rows.time, rows.until, number / self.settings.substeps)
            points = ode_step(process, clean, points, time, later, batch, rescale)
            if number < self.settings.substeps:
                previous = clean if roles.rolled.self_conditioning else None
                clean, time = teacher(points, later, batch, previous), later
        return points

    def _chosen(self, steps: int, draws: Draws) -> list[int]:
        """Return the steps that learn in this update.

        Drawn systematically: along a line where each step is as long as its odds, at points of
        distance 1 after a random start, so that no step is taken twice.
        """
        if not self.settings.drawn_steps:
            return list(range(steps))
        weights, drawn = self.settings.step_weights or (1.0,) * steps, self.settings.drawn_steps
        ends = [drawn * total / sum(weights) for total in accumulate(weights)]
        start = float(torch.rand(1, generator=draws.source("steps")))
        passed = [0, *(math.ceil(end - start) for end in ends[:-1]), drawn]
        return [step for step, (a, b) in enumerate(pairwise(passed)) if b > a]

    def _weights(self, rows: _Rows) -> Float[torch.Tensor, " r"]:
        """Return the weight of each row; their mean is 1."""
        given = () if self.settings.drawn_steps else self.settings.step_weights
        weights = sent(torch.tensor(given or (1.0,) * rows.steps), rows.time.device)
        return (weights / weights.mean()).repeat_interleave(len(rows.one.mask))


@dataclass(frozen=True)
class _Rows:
    """Steps of a batch of b roll-outs, the first step of all samples first: r = steps · b rows.

    Some steps of the roll-out may be missing.

    Attributes:
        one: The batch that was rolled out.
        noisy: Input of the step.
        time: Its time.
        until: The next step's time; of the last step its own, or ``last_until``.
        previous: What the student was told of the step before [b, n, 3]; None in the first.
        ends: Whether the roll-out's last step is among them.
    """

    one: Batch
    noisy: Float[torch.Tensor, "r n 3"]
    time: Float[torch.Tensor, " r"]
    until: Float[torch.Tensor, " r"]
    previous: tuple[torch.Tensor | None, ...]
    ends: bool

    @property
    def steps(self) -> int:
        """Number of steps."""
        return len(self.previous)

    @cached_property
    def batch(self) -> Batch:
        """Mask, origin and condition of each row."""
        return self.one.repeated(self.steps)

    def between(self, start: int, end: int) -> _Rows:
        """Return some of the steps."""
        b = len(self.one.mask)
        part = slice(start * b, end * b)
        cut = self.noisy[part], self.time[part], self.until[part]
        return _Rows(self.one, *cut, self.previous[start:end], ends=self.ends and end == self.steps)

    @property
    def before_last(self) -> _Rows:
        """All steps but the roll-out's last, which goes nowhere."""
        return self.between(0, self.steps - self.ends)


def _play(
    roles: Roles,
    batch: Batch,
    draws: Draws,
    chosen: Sequence[int],
    last_until: float | None = None,
) -> _Rows:
    """Play the student's roll-outs, without gradient, and return the chosen steps."""
    with torch.no_grad():
        steps = list(roles.rolled.steps(roles.student, roles.process, batch, draws))
    times, b = roles.rolled.times.to(batch.mask.device), len(batch.mask)
    end = times[-1:] if last_until is None else times.new_tensor([last_until])
    if last_until is not None and last_until <= (latest := float(times[-1])):
        raise FewstepError(
            "objective.last_until is before the last step",
            expected=f"later than {latest:g}",
            got=last_until,
        )
    until = torch.cat([times[1:], end])
    before = (None, *(step.clean for step in steps[:-1]))
    told = before if roles.rolled.self_conditioning else (None,) * len(steps)
    return _Rows(
        one=batch,
        noisy=torch.cat([steps[k].noisy for k in chosen]),
        time=times[chosen].repeat_interleave(b),
        until=until[chosen].repeat_interleave(b),
        previous=tuple(told[k] for k in chosen),
        ends=chosen[-1] == len(steps) - 1,
    )


def _ask_student(rows: _Rows, roles: Roles) -> Float[torch.Tensor, "r n 3"]:
    """Return the student's clean estimates, self-conditioned as they were in the roll-out."""
    untold = sum(previous is None for previous in rows.previous)
    found: list[torch.Tensor] = []
    for part in (rows.between(0, untold), rows.between(untold, rows.steps)):
        if part.steps:
            told = [previous for previous in part.previous if previous is not None]
            previous = torch.cat(told) if told else None
            found.append(roles.student(part.noisy, part.time, part.batch, previous))
    return torch.cat(found)


def _needed(rows: _Rows, end: torch.Tensor, roles: Roles) -> Float[torch.Tensor, "r n 3"]:
    """Return the clean estimate with which one step of the plain ODE ends at ``end``."""
    process, origin = roles.process, 0.0 if rows.batch.origin is None else rows.batch.origin
    time, until = rows.time[:, None, None], rows.until[:, None, None]
    before, after = process.sigma(time), process.sigma(until)
    reach = before * process.alpha(until) - after * process.alpha(time)
    return origin + (before * (end - origin) - after * (rows.noisy - origin)) / reach


def superposed(
    points: Float[torch.Tensor, "b n 3"], target: Float[torch.Tensor, "b n 3"], batch: Batch
) -> Float[torch.Tensor, "b n 3"]:
    """Return points rotated and moved onto ``target`` by least squares (Kabsch), without mirroring.

    Only real points count; padding becomes 0.
    """
    mask, sizes = batch.mask[..., None], batch.sizes[:, None, None]
    centre, aim = ((x * mask).sum(1, keepdim=True) / sizes for x in (points, target))
    product = ((points - centre) * mask).mT @ ((target - aim) * mask)
    u, _, v = cast("tuple[torch.Tensor, ...]", torch.linalg.svd(product))
    turn = torch.ones_like(u[:, 0])
    turn[:, -1] = torch.linalg.det(u @ v).sign()
    return ((points - centre) @ (u * turn[:, None]) @ v + aim) * mask
