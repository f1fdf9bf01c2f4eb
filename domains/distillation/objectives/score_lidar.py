"""ScoreLiDAR: variational score distillation and structural errors (arXiv 2412.03515)."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from domains.batch import Batch
from domains.distillation.objectives.objective import (
    Objective,
    ObjectiveConfig,
    Resources,
    Student,
    denoise_samples,
)
from domains.distillation.objectives.vsd import score_differences
from domains.distillation.roles import Draws, Loss, Roles
from domains.distillation.times import Times

__all__ = ["ScoreLiDAR", "ScoreLiDARConfig"]


class ScoreLiDARConfig(ObjectiveConfig):
    """ScoreLiDAR: VSD with structural errors by correspondence; weights are 2412.03515's."""

    degradable: ClassVar[bool] = True
    shares_roll_out: ClassVar[bool] = True
    whole_samples: ClassVar[bool] = True
    kind: Literal["score_lidar"] = "score_lidar"
    """Chooses this objective."""
    score_weight: float = Field(default=1.0, ge=0)
    """λ of the difference of scores; 0 leaves the structural errors alone: a regression without
    teacher and fake score."""
    scene_weight: float = Field(default=0.5, ge=0)
    """λ of the scene-wise error: squared Chamfer distance; of proteins: bonds."""
    point_weight: float = Field(default=0.01, ge=0)
    """λ of the point-wise error: distances among key points; of proteins: clashes."""
    scale: float = Field(default=1.0, gt=0)
    """Factor of the student's loss, before clipping."""
    student_times: Times = Times(kind="uniform", low=0.001, high=1.0)
    """Times of the student's loss."""
    fake_times: Times = Times(kind="uniform", low=0.001, high=1.0)
    """Times of the fake score's loss."""

    @property
    def asks_teacher(self) -> bool:
        """A regression asks none."""
        return self.score_weight > 0

    def check(self, student: Student) -> None:
        """DisBack records the fake score, which a regression does without."""
        if student.is_led and not self.score_weight:
            raise ValueError("degradation: objective.score_weight 0 has no fake score to record")


class ScoreLiDAR(Objective[ScoreLiDARConfig]):
    """VSD plus weighted structural errors of the student's samples; not data-free."""

    fake_scores = ("fake",)

    def __init__(self, settings: ScoreLiDARConfig, resources: Resources):
        super().__init__(settings)
        self.structure = resources.structure()
        if not settings.score_weight:
            self.fake_scores = ()

    def fake_score_loss(self, name: str, roles: Roles, batch: Batch, draws: Draws) -> Loss:
        """Denoise the student's samples."""
        return denoise_samples(roles.fake(name), roles, batch, draws, self.settings.fake_times)

    @property
    def _weights(self) -> dict[str, float]:
        """λ of each structural error, by the names that fields give to them."""
        return {"scene": self.settings.scene_weight, "point": self.settings.point_weight}

    def student_loss(self, roles: Roles, batch: Batch, draws: Draws) -> Loss:
        """Add the structural errors to the difference of scores."""
        clean = roles.play(batch, draws, gradient=True)
        total, terms = clean.new_zeros(()), {}
        if weight := self.settings.score_weight:
            times = self.settings.student_times
            losses, terms = score_differences(clean, roles, batch, draws, times)
            total = weight * losses.mean()
        weights = self._weights
        for name, error in self.structure(clean, batch).items():
            total = total + weights[name] * error
            terms = {**terms, name: error.detach()}
        return Loss(self.settings.scale * total, terms)
