"""A field's resources for objectives, encoded as the student's batches are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from domains.capabilities import Forgetting, Judging, Ranking, RealData, Structural, capability

if TYPE_CHECKING:
    from domains.batch import Batch
    from domains.config import Distil
    from domains.distillation.objectives.objective import Judge, Override
    from domains.distillation.roles import Draws
    from domains.field import Field

__all__ = ["FieldResources"]


@dataclass(frozen=True)
class FieldResources:
    """``Resources`` of a field, for one student.

    Attributes:
        field: The field.
        section: Settings of the student.
        network: The teacher.
        tools: Where fetched weights of a preference are.
    """

    field: Field[Any]
    section: Distil
    network: nn.Module
    tools: Path | None = None

    def examples(self) -> Callable[[Draws], Batch]:
        """Build a source of real data, encoded by the teacher."""
        real = capability(self.field, RealData, "has no real data to learn from")
        draw = real.examples(self.section, self.network)

        def encoded(draws: Draws) -> Batch:
            with torch.no_grad():
                return self.field.encode(self.network, draw(draws).to(draws.device))

        return encoded

    def judge(self) -> Judge:
        """Return the network call that also says how real each point looks."""
        return capability(self.field, Judging, "has no discriminator").judge

    def preference(self, kind: str) -> Callable[[Tensor, Batch], Tensor]:
        """Build a ranking of samples."""
        ranking = capability(self.field, Ranking, "has no preference between samples")
        return ranking.preference(kind, self.tools)

    def structure(self) -> Callable[[Tensor, Batch], dict[str, Tensor]]:
        """Return the structural errors of samples."""
        return capability(self.field, Structural, "has no structural errors").structure

    def overriding(self, forget: str, instead: str | None) -> Override:
        """Build a function that flags and relabels samples of a class."""
        forgetting = capability(self.field, Forgetting, "has no classes to forget")
        return forgetting.overriding(self.network, forget, instead)
