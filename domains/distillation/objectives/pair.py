"""Two samples of one noise, and which of them a field prefers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from jaxtyping import Bool, Float

from domains.batch import Batch
from domains.distillation.roles import Draws, Roles
from domains.lazy import torch

__all__ = ["Pair", "Ranking", "draw_pair"]

# What ranks a pair: the field's own quick measure, or ProteinMPNN.
Ranking = Literal["quick", "cross_nll"]


@dataclass(frozen=True)
class Pair:
    """A preferred sample and another of the same request.

    Attributes:
        winner: The preferred samples.
        loser: The others.
        first: Whether the first of a pair is the preferred one [b].
        score: Mean preference score of both.
    """

    winner: Float[torch.Tensor, "b n 3"]
    loser: Float[torch.Tensor, "b n 3"]
    first: Bool[torch.Tensor, " b"]
    score: Float[torch.Tensor, " b"]

    @property
    def diagnostics(self) -> dict[str, torch.Tensor]:
        """Return numbers to log: whether the noise scale decides, and the preference's trend."""
        return {"first_preferred": self.first.float().mean(), "preference": self.score.mean()}


def draw_pair(
    roles: Roles,
    batch: Batch,
    draws: Draws,
    preference: Callable[[torch.Tensor, Batch], torch.Tensor],
    pair_noise: float,
    *,
    gradient: bool,
    step: int | None = None,
) -> Pair:
    """Play the student's roll-out twice with the same noise, the second time scaled, and rank.

    Args:
        roles: Student, process, roll-out.
        batch: Mask, origin, condition.
        draws: Numbers of this micro-batch.
        preference: How good each sample is.
        pair_noise: Factor of the roll-out's noise scale for the second of a pair.
        gradient: Keep the gradient of the last step.
        step: Which step's output; drawn when None.

    Raises:
        ValueError: The roles have no roll-out.
    """
    scale = roles.rolled.noise_scale * pair_noise
    wider = replace(roles, roll_out=replace(roles.rolled, noise_scale=scale))
    first = roles.play(batch, draws, gradient=gradient, step=step)
    second = wider.play(batch, draws, gradient=gradient, step=step)
    with torch.no_grad():
        scores = preference(first, batch), preference(second, batch)
        better = scores[0] >= scores[1]
    chosen = better[:, None, None]
    winner, loser = torch.where(chosen, first, second), torch.where(chosen, second, first)
    return Pair(winner, loser, better, (scores[0] + scores[1]) / 2)
