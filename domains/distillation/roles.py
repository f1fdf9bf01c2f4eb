"""Who takes part in distillation, and how the student plays its few steps."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from domains.distillation.denoiser import Denoiser
from domains.distillation.noise import KeyedNoise, generator
from domains.distillation.process import NoiseProcess
from domains.distillation.sampler import renoise
from domains.domain import Batch

__all__ = ["Draws", "Loss", "Roles", "RollOut", "by_time"]


class Loss(NamedTuple):
    """A scalar to minimise, and numbers to log."""

    value: Float[Tensor, ""]
    diagnostics: dict[str, Tensor]


@dataclass(frozen=True)
class Draws:
    """Random numbers of one micro-batch, by name: the same key gives the same numbers."""

    key: tuple[int | str, ...]
    device: torch.device | str = "cpu"

    def source(self, name: str) -> torch.Generator:
        """Return the generator of a named draw."""
        return generator(*self.key, name)

    def noise(self, name: str) -> KeyedNoise:
        """Return a source of standard normal points."""
        return KeyedNoise(self.source(name), self.device)

    def integer(self, name: str, below: int) -> int:
        """Return an integer in [0, below)."""
        return int(torch.randint(below, (1,), generator=self.source(name)))


@dataclass(frozen=True)
class RollOut:
    """The student's few-step sampling during training.

    Attributes:
        times: Times of the steps, noisy to clean.
        noise_scale: γ of the roll-out.
    """

    times: Float[Tensor, " k"]
    noise_scale: float = 1.0

    def generate(
        self,
        student: Denoiser,
        process: NoiseProcess,
        batch: Batch,
        draws: Draws,
        *,
        gradient: bool,
        step: int | None = None,
    ) -> Float[Tensor, "b n 3"]:
        """Return the output of one uniformly drawn step (few-step SiD, arXiv 2505.12674).

        The steps before it run without gradient.

        Args:
            student: Denoiser to roll out.
            process: Noise process.
            batch: Mask, origin, condition.
            draws: Numbers of this micro-batch.
            gradient: Keep the gradient of the last step.
            step: Which step's output; drawn when None.
        """
        chosen = draws.integer("step", len(self.times)) if step is None else step
        noise = draws.noise("roll-out")
        before = None
        with torch.no_grad():
            for played in renoise(
                student, process, batch, self.times[:chosen], noise, self.noise_scale
            ):
                before = played.points
        with torch.set_grad_enabled(gradient):
            time = self.times[chosen : chosen + 1]
            played = renoise(student, process, batch, time, noise, self.noise_scale, before)
            return process.target(next(played).points, batch)


@dataclass(frozen=True)
class Roles:
    """The networks an objective may call.

    Attributes:
        process: Noise process they share.
        student: The few-step generator.
        teacher: The frozen teacher; None when a teacher itself is trained.
        fakes: Fake scores by the names the objective gave them.
        roll_out: How the student is played.
    """

    process: NoiseProcess
    student: Denoiser
    teacher: Denoiser | None = None
    fakes: Mapping[str, Denoiser] = field(default_factory=dict)
    roll_out: RollOut | None = None

    def play(self, batch: Batch, draws: Draws, *, gradient: bool) -> Float[Tensor, "b n 3"]:
        """Return a sample of the student's roll-out."""
        if self.roll_out is None:
            raise ValueError("these roles have no roll-out")
        return self.roll_out.generate(self.student, self.process, batch, draws, gradient=gradient)


# Edges of the time bins that diagnostics are reported in.
_TIME_EDGES = (0.0, 0.4, 0.7, 0.9, 1.01)


def by_time(name: str, values: Float[Tensor, " b"], time: Float[Tensor, " b"]) -> dict[str, Tensor]:
    """Return the mean of ``values`` in each time bin that holds a sample."""
    found = {}
    for low, high in pairwise(_TIME_EDGES):
        inside = (time >= low) & (time < high)
        if inside.any():
            found[f"{name}_t{low:.1f}"] = values[inside].mean()
    return found
