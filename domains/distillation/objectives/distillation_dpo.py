"""Distillation-DPO (arXiv 2504.11447): towards preferred samples, away from the others."""

from __future__ import annotations

from typing import ClassVar, Literal

from jaxtyping import Float
from pydantic import Field

from domains.batch import Batch
from domains.device import sent
from domains.distillation.objectives.objective import (
    Objective,
    ObjectiveConfig,
    Resources,
    ask_at,
    denoise,
    lag,
    per_sample,
)
from domains.distillation.objectives.pair import Ranking, draw_pair
from domains.distillation.roles import Draws, Loss, Roles
from domains.distillation.times import Times
from domains.lazy import torch

__all__ = ["DistillationDPO", "DistillationDPOConfig", "preference_loss"]


def preference_loss(
    winner: Float[torch.Tensor, "b n 3"],
    loser: Float[torch.Tensor, "b n 3"],
    winner_signal: Float[torch.Tensor, "b n 3"],
    loser_signal: Float[torch.Tensor, "b n 3"],
    batch: Batch,
    loser_bound: float | None,
) -> Float[torch.Tensor, " b"]:
    """Return mean sg(s_w) · x_w − mean sg(s_l) · x_l (eq. 12), with s = ε̂_T − ε̂_F.

    The released code multiplies s with (x_t − x), in which x cancels: its gradient is zero.
    This is the estimator that the paper derives.

    Args:
        winner: x_w, the preferred samples.
        loser: x_l, the others.
        winner_signal: s_w at the noised winners.
        loser_signal: s_l at the noised losers.
        batch: Mask.
        loser_bound: Most of |s_l| relative to |s_w|, as norms over a sample; None: no bound.
    """
    pull, push = winner_signal.detach(), loser_signal.detach()
    if loser_bound is not None:
        norms = [per_sample(signal**2, batch).sqrt() for signal in (pull, push)]
        factor = (loser_bound * norms[0] / norms[1].clamp(min=1e-12)).clamp(max=1.0)
        push = push * factor[:, None, None]
    value = per_sample(pull * winner, batch) - per_sample(push * loser, batch)
    return value / (3 * batch.sizes)


class DistillationDPOConfig(ObjectiveConfig):
    """Distillation-DPO; the defaults are 2504.11447's, but for the scale of the loss."""

    whole_samples: ClassVar[bool] = True
    kind: Literal["distillation_dpo"] = "distillation_dpo"
    """Chooses this objective."""
    pair_noise: float = Field(default=1.1, gt=0)
    """Factor of the roll-out's noise scale for the second sample of a pair."""
    preference: Ranking = "quick"
    """What ranks a pair: `quick`, the field's own measure; `cross_nll`, ProteinMPNN (proteins)."""
    loser_bound: float | None = Field(default=None, ge=0)
    """Most of the loser's signal relative to the winner's; none: no bound."""
    scale: float = Field(default=1.0, gt=0)
    """Factor of the student's loss, before clipping."""
    student_times: Times = Times(kind="uniform", low=0.001, high=1.0)
    """Times of the student's loss."""
    fake_times: Times = Times(kind="uniform", low=0.001, high=1.0)
    """Times of the fake scores' loss."""

    @property
    def needs_tools(self) -> bool:
        """Whether ProteinMPNN ranks the pairs."""
        return self.preference == "cross_nll"


class DistillationDPO(Objective[DistillationDPOConfig]):
    """Two fake scores, of preferred and of other samples, each from a pair of one noise."""

    fake_scores = ("winner", "loser")

    def __init__(self, settings: DistillationDPOConfig, resources: Resources):
        super().__init__(settings)
        self.preference = resources.preference(settings.preference)

    def fake_score_loss(self, name: str, roles: Roles, batch: Batch, draws: Draws) -> Loss:
        """Denoise the preferred samples, or the others."""
        pair = draw_pair(
            roles, batch, draws, self.preference, self.settings.pair_noise, gradient=False
        )
        clean = pair.winner if name == "winner" else pair.loser
        value, terms = denoise(
            roles.fake(name), clean, roles, batch, draws, self.settings.fake_times
        )
        return Loss(value, {**terms, **pair.diagnostics})

    def student_loss(self, roles: Roles, batch: Batch, draws: Draws) -> Loss:
        """Ask teacher and fake score at the same time and noise for both of a pair."""
        pair = draw_pair(
            roles, batch, draws, self.preference, self.settings.pair_noise, gradient=True
        )
        winner, loser = pair.winner, pair.loser
        source = draws.source("time")
        time = sent(self.settings.student_times.sample(len(winner), source), winner.device)
        noise = draws.noise("noise")(batch.shape)
        signals: list[torch.Tensor] = []
        terms: dict[str, torch.Tensor] = {}
        for name, clean in (("winner", winner), ("loser", loser)):
            signal, lags = _signal(name, clean, noise, time, roles, batch)
            signals.append(signal)
            terms |= {f"{name}_{term}": value for term, value in lags.items()}
        loss = preference_loss(
            winner, loser, signals[0], signals[1], batch, self.settings.loser_bound
        )
        return Loss(self.settings.scale * loss.mean(), terms)


def _signal(
    name: str,
    clean: torch.Tensor,
    noise: torch.Tensor,
    time: torch.Tensor,
    roles: Roles,
    batch: Batch,
) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """Return ε̂_T − ε̂_F at the noised samples, and how far F is."""
    with torch.no_grad():
        noisy = roles.process.perturb(clean, noise, time, batch)
        teacher, fake = ask_at(noisy, time, roles, batch, name, gradient=False)
        predicted = [roles.process.noise_of(d, noisy, time, batch) for d in (teacher, fake)]
        return predicted[0] - predicted[1], lag(teacher, fake, clean, time, batch)
