"""BOOT: data-free distillation by bootstrapping along the signal's ODE (arXiv 2306.05544)."""

from __future__ import annotations

from typing import Literal

from jaxtyping import Float, Int
from pydantic import Field, model_validator

from domains.batch import Batch
from domains.device import sent
from domains.distillation.objectives.objective import (
    Objective,
    ObjectiveConfig,
    Student,
    pseudo_huber,
)
from domains.distillation.roles import Draws, Loss, Roles, by_time
from domains.errors import FewstepError
from domains.lazy import torch

__all__ = ["Boot", "BootConfig"]

# Networks tell times apart that are a hundredth apart, or less.
_EARLIEST_CALL = 0.1


class BootConfig(ObjectiveConfig):
    """BOOT: one call of the student is the teacher's ODE, bootstrapped, data-free (2306.05544)."""

    kind: Literal["boot"] = "boot"
    """Chooses this objective; of `roll_out`, `steps` must be 1 and `eta` 0."""
    grid: int = Field(default=32, ge=2, le=1000)
    """Steps of the teacher's ODE."""
    low: float = Field(default=0.02, gt=0, lt=1)
    """Time at which the ODE starts, from noise alone."""
    high: float = Field(default=0.99, gt=0, lt=1)
    """Time at which it ends."""
    boundary_weight: float = Field(default=1.0, gt=0)
    """Weight of the start, where the student's answer is the teacher's own."""
    huber: float = Field(default=0.01, gt=0)
    """c of the distances, in nm or m: smaller ones count squared."""
    scale: float = Field(default=1.0, gt=0)
    """Factor of the loss, before clipping."""

    @model_validator(mode="after")
    def _ordered(self) -> BootConfig:
        if self.low >= self.high:
            raise ValueError(f"low {self.low} must be below high {self.high}")
        return self

    def check(self, student: Student) -> None:
        """What is learned is one call, from all of one noise."""
        roll_out = student.roll_out
        if (roll_out.steps, roll_out.eta, roll_out.noise_scale) != (1, 0, 1):
            raise ValueError("roll_out: must be of steps 1, eta 0, noise_scale 1 for boot")
        if roll_out.times and roll_out.times[0] < _EARLIEST_CALL:
            least = f"at least {_EARLIEST_CALL} for boot, as it says how far the ODE has come"
            raise ValueError(f"roll_out.times: the only one must be {least}")


class Boot(Objective[BootConfig]):
    """The student learns where the teacher's ODE has brought the signal, from noise, at any time.

    On a trajectory x_t that begins at the noise ε, y_t = (x_t − σ_t ε) / α_t is the signal: nothing
    but blur at first, the sample at last. A step of the ODE (DDIM) with the teacher's estimate D is

        y_t' = κ y_t + (1 − κ) D(x_t),    κ = α_t σ_t' / (α_t' σ_t),

    so the student's answer at t' learns from its own, without gradient, at t. At the start it
    learns the teacher's answer to noise. Neither data nor the teacher's samples are needed.

    The paper's network is given ε and t, and t is then the time that is asked for. Here it is given
    ε as the points of noise alone at a time τ, and τ stands for t: τ goes from 0 to the time of the
    roll-out's only call as t goes along the ODE, evenly in the steps of its grid. So the student is
    sampled as any other of one call; and near its first answer is the teacher's, which it starts
    from. Not the paper's: distances are pseudo-Huber's, which need no weights by time.
    """

    def student_loss(self, roles: Roles, batch: Batch, draws: Draws) -> Loss:
        """Compare the answer at a time with a step of the teacher from the answer before."""
        count, grid = len(batch.mask), self._grid(roles)
        place = torch.randint(self.settings.grid, (count,), generator=draws.source("time"))
        noise = draws.noise("noise")(batch.shape)
        with torch.no_grad():
            target = self._target(roles, batch, noise, grid, place)
            first = self._asked(roles, batch, noise, grid, torch.zeros_like(place))
        distance = pseudo_huber(
            self._answer(roles, batch, noise, place + 1), target, batch, self.settings.huber
        )
        start = pseudo_huber(
            self._answer(roles, batch, noise, torch.zeros_like(place)),
            first,
            batch,
            self.settings.huber,
        )
        # A step's error is as small as the step.
        loss = self.settings.grid * distance + self.settings.boundary_weight * start
        seen, time = distance.detach(), sent(grid[place], distance.device)
        noted = {"distance": seen.mean(), "boundary": start.detach().mean()}
        return Loss(self.settings.scale * loss.mean(), {**noted, **by_time("distance", seen, time)})

    def _grid(self, roles: Roles) -> Float[torch.Tensor, " g"]:
        """Return the times of the teacher's ODE."""
        ends = torch.tensor(self.settings.low), torch.tensor(self.settings.high)
        shares = (k / self.settings.grid for k in range(self.settings.grid + 1))
        return torch.stack([roles.process.between(*ends, share) for share in shares])

    def _answer(
        self, roles: Roles, batch: Batch, noise: torch.Tensor, place: Int[torch.Tensor, " b"]
    ) -> Float[torch.Tensor, "b n 3"]:
        """Return the student's signal y at places of the grid."""
        call = roles.rolled.times[0]
        if call < _EARLIEST_CALL:
            raise FewstepError(
                "the student's only call is too early: its times say how far the ODE has come",
                expected=f"roll_out.times of one at least {_EARLIEST_CALL}",
                got=round(float(call), 4),
                do="Give one, such as [0.5]",
            )
        time = sent(call * place / self.settings.grid, batch.mask.device)
        noisy = roles.process.perturb(_nothing(batch), noise, time, batch)
        return roles.process.target(roles.student(noisy, time, batch), batch)

    def _asked(
        self,
        roles: Roles,
        batch: Batch,
        noise: torch.Tensor,
        grid: torch.Tensor,
        place: Int[torch.Tensor, " b"],
        signal: torch.Tensor | None = None,
    ) -> Float[torch.Tensor, "b n 3"]:
        """Return the teacher's estimate where the signal is ``signal``; at the start it is none."""
        assert roles.teacher is not None
        time = sent(grid[place], batch.mask.device)
        signal = _nothing(batch) if signal is None else signal
        noisy = roles.process.perturb(signal, noise, time, batch)
        return roles.process.target(roles.teacher(noisy, time, batch), batch)

    def _target(
        self,
        roles: Roles,
        batch: Batch,
        noise: torch.Tensor,
        grid: torch.Tensor,
        place: Int[torch.Tensor, " b"],
    ) -> Float[torch.Tensor, "b n 3"]:
        """Return y_t' of the student's own y_t and one step of the teacher."""
        signal = self._answer(roles, batch, noise, place)
        clean = self._asked(roles, batch, noise, grid, place, signal)
        kept = roles.process.noise_share(grid[place + 1], grid[place])
        kept = sent(kept, clean.device)[:, None, None]
        return kept * signal + (1 - kept) * clean


def _nothing(batch: Batch) -> Float[torch.Tensor, "b n 3"]:
    """Return the places that noise is added to."""
    if batch.origin is not None:
        return batch.origin
    return torch.zeros(batch.shape, device=batch.mask.device)
