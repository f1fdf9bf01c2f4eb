"""Score forgetting distillation (arXiv 2409.11219): a student that has unlearned a class."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Literal

from pydantic import Field, model_validator

from domains.batch import Batch
from domains.distillation.denoiser import Denoiser
from domains.distillation.objectives.objective import (
    Objective,
    ObjectiveConfig,
    Resources,
    denoise_samples,
)
from domains.distillation.objectives.sid import score_identity
from domains.distillation.roles import Draws, Loss, Roles
from domains.distillation.student import Student, check_told
from domains.distillation.times import Times
from domains.lazy import torch
from domains.settings import FoldClass

__all__ = ["SFD", "SFDConfig"]


@dataclass(frozen=True)
class _Relabelled:
    """A denoiser that answers for the labels of another batch than it is called with."""

    denoiser: Denoiser
    relabelled: Batch

    def __call__(
        self,
        noisy: torch.Tensor,
        time: torch.Tensor,
        batch: Batch,
        previous: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Estimate the clean points [b, n, 3] under the other labels (see ``Denoiser``)."""
        return self.denoiser(noisy, time, self.relabelled, previous)


class SFDConfig(ObjectiveConfig):
    """Score forgetting distillation: SiD that unlearns a fold class (2409.11219)."""

    shares_roll_out: ClassVar[bool] = True
    kind: Literal["sfd"] = "sfd"
    """Chooses this objective; the student's `fold` must tell classes as fine as this one."""
    forget: FoldClass
    """The class to forget, such as `1` or `2.60`, with all that are finer."""
    instead: FoldClass | None = None
    """What the teacher answers for in its place: another class; none: for any fold, as if it
    were told none."""
    weight: float = Field(default=0.01, gt=0)
    """λ, of the samples that are asked for it; the others have 1."""
    alpha: float = 1.2
    """α of SiD's loss."""
    scale: float = Field(default=100.0, gt=0)
    """Factor of the student's loss, before clipping."""
    weighting: Literal["mean", "reference"] = "mean"
    """See `SiDConfig`."""
    student_times: Times = Times(kind="log_grid", low=0.02, high=0.98)
    """Times of the student's loss."""
    fake_times: Times = Times(kind="beta", low=0.02, high=0.98)
    """Times of the fake score's loss."""

    @model_validator(mode="after")
    def _another_class(self) -> SFDConfig:
        if f"{self.instead}.".startswith(f"{self.forget}."):
            raise ValueError(f"instead {self.instead} is of the class to forget, {self.forget}")
        return self

    def check(self, student: Student) -> None:
        """Else no sample would be asked for the class to forget."""
        if student.told_levels is None:
            raise ValueError("objective: the field has no classes to forget")
        check_told(student, self.forget, f"for the objective sfd to forget {self.forget}")


class SFD(Objective[SFDConfig]):
    """SiD, in which the teacher answers for another class where the forgotten one is asked for.

    The fake score is always told what the student was asked: so samples of the forgotten class
    are drawn to the teacher's samples of the other one.
    """

    fake_scores = ("fake",)

    def __init__(self, settings: SFDConfig, resources: Resources):
        super().__init__(settings)
        self.override = resources.overriding(settings.forget, settings.instead)

    def fake_score_loss(self, name: str, roles: Roles, batch: Batch, draws: Draws) -> Loss:
        """Denoise the student's samples, of all classes."""
        return denoise_samples(roles.fake(name), roles, batch, draws, self.settings.fake_times)

    def student_loss(self, roles: Roles, batch: Batch, draws: Draws) -> Loss:
        """Return SiD's loss with the teacher's answers overridden, samples weighed."""
        assert roles.teacher is not None
        forgotten, relabelled = self.override(batch)
        overridden = replace(roles, teacher=_Relabelled(roles.teacher, relabelled))
        clean = roles.play(batch, draws, gradient=True)
        losses, noted = score_identity(
            clean,
            overridden,
            batch,
            draws,
            self.settings.student_times,
            self.settings.alpha,
            self.settings.weighting,
        )
        weights = torch.where(forgotten, self.settings.weight, 1.0)
        noted |= {"forgotten": forgotten.float().mean()}
        return Loss(self.settings.scale * (weights * losses).mean(), noted)
