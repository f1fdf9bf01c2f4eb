"""What an objective's settings may check of a student's other settings."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from domains.distillation.sampling.rescale import Rescale
from domains.distillation.sampling.roll_out import RollOutConfig

__all__ = ["Student", "check_told"]


@runtime_checkable
class Student(Protocol):
    """A student's settings, as far as an objective's settings may check them."""

    @property
    def batch_size(self) -> int:
        """Samples of a micro-batch."""
        ...

    @property
    def roll_out(self) -> RollOutConfig:
        """Settings of the student's sampler during training."""
        ...

    @property
    def precision(self) -> str:
        """Of the networks' forward passes."""
        ...

    @property
    def layers(self) -> int | None:
        """Layers of a student that is smaller than its teacher."""
        ...

    @property
    def is_led(self) -> bool:
        """Whether recorded fake scores lead it to the teacher (DisBack)."""
        ...

    @property
    def teacher_guidance(self) -> float:
        """Weight w of the teacher's guidance; 1 is none."""
        ...

    @property
    def teacher_rescale(self) -> Rescale | None:
        """How the teacher's score is sharpened; None: not at all."""
        ...

    @property
    def told_levels(self) -> str | None:
        """The finest level of classes that samples are told, of "CAT"; None: there are none."""
        ...


def check_told(student: Student, fold: str, purpose: str) -> None:
    """Raise ValueError unless some samples are told classes as fine as ``fold``."""
    levels = "CAT"[fold.count(".") :]
    if not student.told_levels or student.told_levels not in levels:
        raise ValueError(f"fold: must be {' or '.join(levels)} {purpose}")
