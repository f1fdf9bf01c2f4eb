"""Settings of the objectives that rank pairs of samples."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from domains.config.base import Config
from domains.config.times import Times

__all__ = ["DiffusionDPOConfig", "DistillationDPOConfig", "Ranking"]

Ranking = Literal["quick", "cross_nll"]


class DistillationDPOConfig(Config):
    """Distillation-DPO; the defaults are 2504.11447's, but for the scale of the loss."""

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


class DiffusionDPOConfig(Config):
    """Diffusion-DPO: the student becomes a teacher that is aligned to preferences (2311.12908).

    The teacher is the frozen reference, and draws the pairs by `roll_out`.
    """

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
