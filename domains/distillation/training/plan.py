"""What a training is: decided before it starts, and the same for teachers and students."""

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
    """Everything that is decided before training starts.

    Attributes:
        objective: The two losses.
        process: Noise process.
        batches: Micro-batch number ``index`` of a run, its numbers drawn from ``draws``.
        fit: Length, accumulation, averaging.
        optimisers: One per role: "student" and each fake score.
        seed: Key of all random numbers.
        roll_out: How the student is played; None when a teacher is trained.
        fake_updates: Updates of each fake score per update of the student.
        reset_fake_every: Steps after which fake scores become the teacher again; 0 never.
        as_teacher: What the teacher's role makes of its network: tempered, guided, rescaled.
        as_fake: What the role of a fake score makes of its network in the student's loss.
        as_learning_fake: The same in its own loss.
        degradation: Lead the student over recorded networks to the teacher; it needs one
            fake score.
        companions: Frozen networks that ``as_teacher`` asks, too.
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
    companions: tuple[nn.Module, ...] = ()
