"""Diffusion-DPO (arXiv 2311.12908): a denoiser aligned to preferences; made for teachers."""

from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from domains.distillation.denoiser import Denoiser
from domains.distillation.noise import TimeDistribution
from domains.distillation.objectives.objective import Objective, denoising_loss
from domains.distillation.objectives.pair import Pair, Preference, draw_pair
from domains.distillation.roles import Draws, Loss, Roles
from domains.domain import Batch

__all__ = ["DiffusionDPO", "alignment_loss"]


def alignment_loss(
    winner: Float[Tensor, " b"], loser: Float[Tensor, " b"], beta: float
) -> Float[Tensor, " b"]:
    """Return −log σ(−β/2 (Δ_w − Δ_l)) of each pair (2311.12908, eq. 14; T ω(λ) in β).

    Args:
        winner: Δ_w, the error on the preferred sample above the reference's.
        loser: Δ_l, the same on the other.
        beta: β: the larger, the sooner a pair counts as learned.
    """
    return -F.logsigmoid(-0.5 * beta * (winner - loser))


class DiffusionDPO(Objective):
    """The network learns to denoise what is preferred, and to unlearn the rest, near the teacher.

    The teacher is the frozen reference. It also draws the pairs, by whole roll-outs, of one noise
    at two scales: the policy whose samples are ranked is the reference, as in the paper. There is
    no fake score, and the outcome is a denoiser of all times: sampled, and distilled, as its
    teacher is.

    Args:
        times: Where the errors are compared, the same for both of a pair.
        preference: How good each sample is; higher is better.
        pair_noise: Factor of the roll-out's noise scale for the second of a pair.
        beta: β of the loss.
        scale: Factor of the loss.
    """

    fake_scores = ()

    def __init__(
        self,
        times: TimeDistribution,
        preference: Preference,
        pair_noise: float = 1.1,
        beta: float = 5000.0,
        scale: float = 1.0,
    ):
        self.times, self.preference, self.pair_noise = times, preference, pair_noise
        self.beta, self.scale = beta, scale

    def fake_score_loss(self, name: str, roles: Roles, batch: Batch, draws: Draws) -> Loss:
        """There is none."""
        raise ValueError(f"Diffusion-DPO has no fake score {name}")

    def student_loss(self, roles: Roles, batch: Batch, draws: Draws) -> Loss:
        """Compare the network's errors on a pair with the reference's, at one time and noise."""
        assert roles.teacher is not None
        pair = self._pair(roles, batch, draws)
        time = self.times.sample(len(pair.first), draws.source("time")).to(pair.winner.device)
        noise = draws.noise("noise")(batch.shape)

        def errors(denoiser: Denoiser) -> list[Tensor]:
            found = []
            for clean in (pair.winner, pair.loser):
                noisy = roles.process.perturb(clean, noise, time, batch)
                estimate = denoiser(noisy, time, batch)
                found.append(denoising_loss(estimate, clean, time, batch, roles.process))
            return found

        with torch.no_grad():
            reference = errors(roles.teacher)
        winner, loser = (a - b for a, b in zip(errors(roles.student), reference, strict=True))
        value = alignment_loss(winner, loser, self.beta).mean()
        noted = {
            "winner_error": winner.detach().mean(),
            "loser_error": loser.detach().mean(),
            "agrees": (winner < loser).float().mean(),
            **pair.diagnostics,
        }
        return Loss(self.scale * value, noted)

    def _pair(self, roles: Roles, batch: Batch, draws: Draws) -> Pair:
        assert roles.teacher is not None
        last = len(roles.rolled.times) - 1
        drawing = replace(roles, student=roles.teacher)
        return draw_pair(
            drawing, batch, draws, self.preference, self.pair_noise, gradient=False, step=last
        )
