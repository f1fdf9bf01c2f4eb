"""Training a teacher: its field's own denoising loss on data, no other network."""

from collections.abc import Callable
from typing import Any

from domains.batch import Batch
from domains.distillation.objectives.objective import Objective, ObjectiveConfig
from domains.distillation.process import NoiseProcess
from domains.distillation.roles import Draws, Loss, Roles

__all__ = ["TeacherTraining"]


class TeacherTraining(Objective[ObjectiveConfig]):
    """The network being trained plays the student's role; there is no fake score.

    Args:
        loss: The field's training loss: (network, process, batch with points, draws) → Loss.
            The network is the module that is trained, which must be a Denoiser.
    """

    def __init__(self, loss: Callable[[Any, NoiseProcess, Batch, Draws], Loss]):
        self.loss = loss

    def fake_score_loss(self, name: str, roles: Roles, batch: Batch, draws: Draws) -> Loss:
        """Never called: there are no fake scores."""
        raise ValueError(f"teacher training has no fake score {name}")

    def student_loss(self, roles: Roles, batch: Batch, draws: Draws) -> Loss:
        """Return the field's training loss."""
        return self.loss(roles.student, roles.process, batch, draws)
