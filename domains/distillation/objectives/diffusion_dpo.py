"""Diffusion-DPO (arXiv 2311.12908): a denoiser aligned to preferences; made for teachers."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar, Literal

from jaxtyping import Float
from pydantic import Field

from domains.batch import Batch
from domains.device import sent
from domains.distillation.denoiser import Denoiser
from domains.distillation.objectives.objective import (
    Objective,
    ObjectiveConfig,
    Resources,
    denoising_loss,
)
from domains.distillation.objectives.pair import Pair, Ranking, draw_pair
from domains.distillation.roles import Draws, Loss, Roles
from domains.distillation.student import Student
from domains.distillation.times import Times
from domains.lazy import torch

__all__ = ["DiffusionDPO", "DiffusionDPOConfig", "alignment_loss"]


def alignment_loss(
    winner: Float[torch.Tensor, " b"], loser: Float[torch.Tensor, " b"], beta: float
) -> Float[torch.Tensor, " b"]:
    """Return −log σ(−β/2 (Δ_w − Δ_l)) of each pair (2311.12908, eq. 14; T ω(λ) in β).

    Args:
        winner: Δ_w, the error on the preferred sample above the reference's.
        loser: Δ_l, the same on the other.
        beta: β: the larger, the sooner a pair counts as learned.
    """
    return -torch.nn.functional.logsigmoid(-0.5 * beta * (winner - loser))


class DiffusionDPOConfig(ObjectiveConfig):
    """Diffusion-DPO: the student becomes a teacher that is aligned to preferences (2311.12908).

    The teacher is the frozen reference, and draws the pairs by `roll_out`.
    """

    whole_samples: ClassVar[bool] = True
    kind: Literal["diffusion_dpo"] = "diffusion_dpo"
    """Chooses this objective."""
    beta: float = Field(default=5000.0, gt=0)
    """β of the loss: the larger, the nearer the reference."""
    pair_noise: float = Field(default=1.1, gt=0)
    """Factor of the roll-out's noise scale for the second sample of a pair."""
    preference: Ranking = "quick"
    """What ranks a pair: `quick`, the field's own measure; `cross_nll`, ProteinMPNN (proteins)."""
    scale: float = Field(default=1.0, gt=0)
    """Factor of the loss, before clipping."""
    times: Times = Times(kind="uniform", low=0.001, high=0.98)
    """Times at which errors are compared."""

    def check(self, student: Student) -> None:
        """What comes out is the teacher, aligned, which is near its reference at the start."""
        if student.layers is not None:
            raise ValueError("layers: the objective diffusion_dpo aligns the teacher as it is")

    @property
    def needs_tools(self) -> bool:
        """Whether ProteinMPNN ranks the pairs."""
        return self.preference == "cross_nll"


class DiffusionDPO(Objective[DiffusionDPOConfig]):
    """The network learns to denoise what is preferred, and to unlearn the rest, near the teacher.

    The teacher is the frozen reference. It also draws the pairs, by whole roll-outs, of one noise
    at two scales: the policy whose samples are ranked is the reference, as in the paper. There is
    no fake score, and the outcome is a denoiser of all times: sampled, and distilled, as its
    teacher is.
    """

    def __init__(self, settings: DiffusionDPOConfig, resources: Resources):
        super().__init__(settings)
        self.preference = resources.preference(settings.preference)

    def student_loss(self, roles: Roles, batch: Batch, draws: Draws) -> Loss:
        """Compare the network's errors on a pair with the reference's, at one time and noise."""
        assert roles.teacher is not None
        pair = self._pair(roles, batch, draws)
        drawn = self.settings.times.sample(len(pair.first), draws.source("time"))
        time = sent(drawn, pair.winner.device)
        noise = draws.noise("noise")(batch.shape)

        def errors(denoiser: Denoiser) -> list[torch.Tensor]:
            losses: list[torch.Tensor] = []
            for clean in (pair.winner, pair.loser):
                noisy = roles.process.perturb(clean, noise, time, batch)
                estimate = denoiser(noisy, time, batch)
                losses.append(denoising_loss(estimate, clean, time, batch, roles.process))
            return losses

        with torch.no_grad():
            reference = errors(roles.teacher)
        winner, loser = (a - b for a, b in zip(errors(roles.student), reference, strict=True))
        value = alignment_loss(winner, loser, self.settings.beta).mean()
        noted = {
            "winner_error": winner.detach().mean(),
            "loser_error": loser.detach().mean(),
            "agrees": (winner < loser).float().mean(),
            **pair.diagnostics,
        }
        return Loss(self.settings.scale * value, noted)

    def _pair(self, roles: Roles, batch: Batch, draws: Draws) -> Pair:
        assert roles.teacher is not None
        last = len(roles.rolled.times) - 1
        drawing = replace(roles, student=roles.teacher)
        return draw_pair(
            drawing,
            batch,
            draws,
            self.preference,
            self.settings.pair_noise,
            gradient=False,
            step=last,
        )
