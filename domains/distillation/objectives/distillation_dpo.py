"""Distillation-DPO (arXiv 2504.11447): towards preferred samples, away from the others."""

import torch
from jaxtyping import Float
from torch import Tensor

from domains.distillation.noise import TimeDistribution
from domains.distillation.objectives.objective import (
    Objective,
    ask_at,
    denoise,
    lag,
    per_sample,
)
from domains.distillation.objectives.pair import Preference, draw_pair
from domains.distillation.roles import Draws, Loss, Roles
from domains.domain import Batch

__all__ = ["DistillationDPO", "preference_loss"]


def preference_loss(
    winner: Float[Tensor, "b n 3"],
    loser: Float[Tensor, "b n 3"],
    winner_signal: Float[Tensor, "b n 3"],
    loser_signal: Float[Tensor, "b n 3"],
    batch: Batch,
    loser_bound: float | None,
) -> Float[Tensor, " b"]:
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


class DistillationDPO(Objective):
    """Two fake scores, of preferred and of other samples, each from a pair of one noise.

    Args:
        student_times: Where the student's loss is evaluated.
        fake_times: Where the fake scores are trained.
        preference: How good each sample is; higher is better.
        pair_noise: Factor of the roll-out's noise scale for the second of a pair.
        loser_bound: See ``preference_loss``.
        scale: Factor of the student's loss.
    """

    fake_scores = ("winner", "loser")

    def __init__(
        self,
        student_times: TimeDistribution,
        fake_times: TimeDistribution,
        preference: Preference,
        pair_noise: float = 1.1,
        loser_bound: float | None = None,
        scale: float = 1.0,
    ):
        self.student_times, self.fake_times = student_times, fake_times
        self.preference, self.pair_noise = preference, pair_noise
        self.loser_bound, self.scale = loser_bound, scale

    def fake_score_loss(self, name: str, roles: Roles, batch: Batch, draws: Draws) -> Loss:
        """Denoise the preferred samples, or the others."""
        pair = draw_pair(roles, batch, draws, self.preference, self.pair_noise, gradient=False)
        clean = pair.winner if name == "winner" else pair.loser
        value, terms = denoise(roles.fake(name), clean, roles, batch, draws, self.fake_times)
        return Loss(value, {**terms, **pair.diagnostics})

    def student_loss(self, roles: Roles, batch: Batch, draws: Draws) -> Loss:
        """Ask teacher and fake score at the same time and noise for both of a pair."""
        pair = draw_pair(roles, batch, draws, self.preference, self.pair_noise, gradient=True)
        winner, loser = pair.winner, pair.loser
        source = draws.source("time")
        time = self.student_times.sample(len(winner), source).to(winner.device)
        noise = draws.noise("noise")(batch.shape)
        signals, terms = [], {}
        for name, clean in (("winner", winner), ("loser", loser)):
            signal, found = _signal(name, clean, noise, time, roles, batch)
            signals.append(signal)
            terms |= {f"{name}_{term}": value for term, value in found.items()}
        loss = preference_loss(winner, loser, signals[0], signals[1], batch, self.loser_bound)
        return Loss(self.scale * loss.mean(), terms)


@torch.no_grad()
def _signal(
    name: str, clean: Tensor, noise: Tensor, time: Tensor, roles: Roles, batch: Batch
) -> tuple[Tensor, dict[str, Tensor]]:
    """Return ε̂_T − ε̂_F at the noised samples, and how far F is."""
    noisy = roles.process.perturb(clean, noise, time, batch)
    teacher, fake = ask_at(noisy, time, roles, batch, name, gradient=False)
    predicted = [roles.process.noise_of(d, noisy, time, batch) for d in (teacher, fake)]
    return predicted[0] - predicted[1], lag(teacher, fake, clean, time, batch)
