"""The plan of a training: fixed before it starts, one type for teachers and students."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from domains.batch import Batch
from domains.distillation.denoiser import Denoiser
from domains.distillation.objectives.objective import Objective
from domains.distillation.process import NoiseProcess
from domains.distillation.roles import Draws, RollOut
from domains.distillation.training.settings import Degradation, Fit, Optimiser

__all__ = ["Plan"]


@dataclass(frozen=True)
class Plan:
    """Losses, data, length and roles of a training, fixed before it starts.

    Attributes:
        objective: The two losses.
        process: Noise process.
        batches: Micro-batch number ``index`` of a run, its numbers drawn from ``draws``.
        fit: Length, accumulation, averaging.
        optimisers: One per role: "student" and each fake score.
        seed: Key of all random numbers, with ``name``.
        roll_out: The student's sampler during training; None when a teacher is trained.
        fake_updates: Updates of each fake score per update of the student.
        reset_fake_every: Steps after which fake scores become the teacher again; 0 never.
        as_teacher: Wraps the teacher's network: tempered, guided, rescaled.
        as_fake: Wraps a fake score's network in the student's loss.
        as_learning_fake: The same in its own loss.
        degradation: Lead the student over recorded networks to the teacher; it needs one
            fake score.
        frozen_networks: Further frozen networks that ``as_teacher`` calls, such as the weaker one
            of autoguidance.
        name: The student's, so that no two students of a run have the same luck; empty for a
            teacher.
    """

    objective: Objective[Any]
    process: NoiseProcess
    batches: Callable[[int, Draws], Batch]
    fit: Fit
    optimisers: Mapping[str, Optimiser]
    seed: int = 0
    roll_out: RollOut | None = None
    fake_updates: int = 1
    reset_fake_every: int = 0
    as_teacher: Callable[[Denoiser], Denoiser] = lambda network: network
    as_fake: Callable[[Denoiser], Denoiser] = lambda network: network
    as_learning_fake: Callable[[Denoiser], Denoiser] = lambda network: network
    degradation: Degradation | None = None
    frozen_networks: tuple[nn.Module, ...] = ()
    name: str = ""

    @property
    def key(self) -> tuple[int | str, ...]:
        """Return what all random numbers of the training begin their key with."""
        return (self.seed, self.name) if self.name else (self.seed,)
