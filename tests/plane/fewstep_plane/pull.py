"""A toy objective of another package: pull samples to a point."""

from __future__ import annotations

from typing import Literal

from domains.batch import Batch
from domains.distillation.objectives.objective import Objective, ObjectiveConfig
from domains.distillation.roles import Draws, Loss, Roles

__all__ = ["Pull", "PullConfig"]


class PullConfig(ObjectiveConfig):
    """Pull samples to a point."""

    kind: Literal["pull"] = "pull"
    """Chooses this objective."""
    to: float = 0.0
    """Its coordinate on every axis."""


class Pull(Objective[PullConfig]):
    """Squared distance of every point to one."""

    def student_loss(self, roles: Roles, batch: Batch, draws: Draws) -> Loss:
        """Compute the mean square."""
        clean = roles.play(batch, draws, gradient=True)
        value = ((clean - self.settings.to) ** 2).mean()
        return Loss(value, {"square": value.detach()})
