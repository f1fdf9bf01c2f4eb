"""Settings of teacher training and distillation; YAML holds only departures from these."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from domains.config.base import MOST_SEED, Config

__all__ = [
    "Adversarial",
    "Distil",
    "DistillationDPOConfig",
    "Fit",
    "Lengths",
    "ObjectiveConfig",
    "Optimiser",
    "Pretrain",
    "ScoreLiDARConfig",
    "SiDConfig",
    "Times",
    "VSDConfig",
]


class Optimiser(Config):
    """How one role is optimised, by Adam."""

    rate: float = Field(default=1e-4, gt=0)
    """Learning rate, after the warm-up."""
    beta1: float = Field(default=0.9, ge=0, lt=1)
    """Decay of the gradient's running mean."""
    beta2: float = Field(default=0.999, ge=0, lt=1)
    """Decay of the squared gradient's running mean."""
    clip: float = Field(default=1.0, gt=0)
    """Bound of the gradient norm."""
    schedule: Literal["constant", "cosine", "cosine_restarts"] = "constant"
    """`cosine` decays to `floor` at the last step; `cosine_restarts` is SGDR."""
    warmup: int = Field(default=0, ge=0)
    """Steps of linear warm-up."""
    floor: float = Field(default=1e-6, ge=0)
    """Learning rate that a cosine ends at."""
    period: int = Field(default=1000, ge=1)
    """Steps to the first restart; doubled at each."""


class Times(Config):
    """Where training times are drawn (see ``TimeDistribution``)."""

    kind: Literal["beta", "log_grid", "uniform"]
    """Proteina's `beta`: Beta(1.9, 1) and 2 % uniform; SiD's `log_grid`: log-spaced; LiDiff's
    `uniform`."""
    low: float = Field(default=0.0, ge=0, lt=1)
    """Earliest time; 0 is noise."""
    high: float = Field(default=1.0, gt=0, le=1)
    """Latest time, above `low`; 1 is data."""

    @model_validator(mode="after")
    def _ordered(self) -> Times:
        if self.low >= self.high:
            raise ValueError(f"low {self.low} must be below high {self.high}")
        return self


class Adversarial(Config):
    """A discriminator on the fake score's features, which sees real data."""

    weight: float = Field(default=0.01, gt=0)
    """Of the student's adversarial term, beside the objective's own."""
    critic_weight: float = Field(default=0.1, gt=0)
    """Of the discriminator's loss, beside the fake score's own."""


class SiDConfig(Config):
    """Score identity Distillation; the defaults are 2510.03095's."""

    kind: Literal["sid"] = "sid"
    """Chooses this objective."""
    alpha: float = 1.0
    """α of the loss: 1.2 for images, 1.0 for proteins."""
    scale: float = Field(default=100.0, gt=0)
    """Factor of the student's loss, before clipping."""
    weighting: Literal["mean", "reference"] = "mean"
    """`mean`: all sizes count alike; `reference`: small ones more, as in SiD_Protein."""
    student_times: Times = Times(kind="log_grid", low=0.02, high=0.98)
    """Times of the student's loss."""
    fake_times: Times = Times(kind="beta", low=0.02, high=0.98)
    """Times of the fake score's loss."""
    adversarial: Adversarial | None = None
    """Add a discriminator, and so real data: SiDA; none: data-free."""


class VSDConfig(Config):
    """Variational score distillation / Diff-Instruct."""

    kind: Literal["vsd"] = "vsd"
    """Chooses this objective."""
    scale: float = Field(default=1.0, gt=0)
    """Factor of the student's loss, before clipping."""
    student_times: Times = Times(kind="log_grid", low=0.02, high=0.98)
    """Times of the student's loss."""
    fake_times: Times = Times(kind="beta", low=0.02, high=0.98)
    """Times of the fake score's loss."""
    adversarial: Adversarial | None = None
    """Add a discriminator, and so real data: DMD2; none: data-free."""


class DistillationDPOConfig(Config):
    """Distillation-DPO; the defaults are 2504.11447's, but for the scale of the loss."""

    kind: Literal["distillation_dpo"] = "distillation_dpo"
    """Chooses this objective."""
    pair_noise: float = Field(default=1.1, gt=0)
    """Factor of the roll-out's noise scale for the second sample of a pair."""
    loser_bound: float | None = Field(default=None, ge=0)
    """Most of the loser's signal relative to the winner's; none: no bound."""
    scale: float = Field(default=1.0, gt=0)
    """Factor of the student's loss, before clipping."""
    student_times: Times = Times(kind="uniform", low=0.001, high=1.0)
    """Times of the student's loss."""
    fake_times: Times = Times(kind="uniform", low=0.001, high=1.0)
    """Times of the fake scores' loss."""


class ScoreLiDARConfig(Config):
    """ScoreLiDAR: VSD with structural errors by correspondence; weights are 2412.03515's."""

    kind: Literal["score_lidar"] = "score_lidar"
    """Chooses this objective."""
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


ObjectiveConfig = Annotated[
    SiDConfig | VSDConfig | DistillationDPOConfig | ScoreLiDARConfig, Field(discriminator="kind")
]


class RollOutConfig(Config):
    """How the student samples during training."""

    steps: int = Field(default=8, ge=1, le=400)
    """Steps of a roll-out."""
    noise_scale: float = Field(default=1.0, ge=0)
    """Noise scale γ of the roll-out."""


class Fit(Config):
    """A training run: its length, its batches, what is kept."""

    steps: int = Field(ge=1, le=1_000_000_000)
    """Optimisation steps of the student."""
    accumulate: int = Field(default=1, ge=1, le=1_000_000)
    """Micro-batches per step."""
    ema: float = Field(default=0.99, ge=0, lt=1)
    """Decay of the student's running average, per step (ramped up at the start)."""
    precision: Literal["32-true", "bf16-mixed"] = "32-true"
    """Of the networks' forward passes."""
    activation_checkpointing: bool = False
    """Compute activations again in the backward pass: less memory, a quarter or so more time."""
    checkpoint_every: int = Field(default=100, ge=1)
    """Steps between checkpoints."""
    validate_every: int = Field(default=0, ge=0)
    """Steps between validations; 0 is never."""
    log_every: int = Field(default=10, ge=1)
    """Steps between rows of the log."""
    max_seconds: float | None = Field(default=None, gt=0)
    """Stop (resumably) after this long."""


class Lengths(Config):
    """Sizes of samples: uniform integers in [low, high]."""

    low: int = Field(default=40, ge=1, le=10_000)
    """Smallest."""
    high: int = Field(default=80, ge=1, le=10_000)
    """Largest, not below `low`."""

    @model_validator(mode="after")
    def _ordered(self) -> Lengths:
        if self.low > self.high:
            raise ValueError(f"low {self.low} must not exceed high {self.high}")
        return self


class Pretrain(Config):
    """A teacher trained from scratch."""

    network: dict[str, Any]
    """Its architecture: the keys of Proteina's `model.nn`, or of LiDiff's networks."""
    part: Literal["denoiser", "refinement"] = "denoiser"
    """What is trained; the refinement of scenes goes on from a denoiser (`start`)."""
    lengths: Lengths = Lengths()
    """Which domains are used."""
    start: str | None = None
    """A model to go on from (directory or bundled name): of this architecture, but its features
    may be fewer; none: afresh."""
    residues_per_batch: int = Field(default=1000, ge=16, le=10_000_000)
    """Most residues per micro-batch."""
    scenes_per_batch: int = Field(default=2, ge=1, le=10_000)
    """LiDAR scenes per micro-batch."""
    optimiser: Optimiser = Optimiser()
    """How the network is optimised."""
    fit: Fit
    """The training run."""


class Distil(Config):
    """A student: objective, roll-out, optimisers, fit."""

    seed: int | None = Field(default=None, ge=0, le=MOST_SEED)
    """Of its training, to tell chance from merit; the run's if not given."""
    objective: ObjectiveConfig = SiDConfig()
    """What is minimised."""
    roll_out: RollOutConfig = RollOutConfig()
    """How the student samples during training."""
    lengths: Lengths = Lengths()
    """Sizes of the samples it trains on."""
    batch_size: int = Field(default=16, ge=1, le=100_000)
    """Samples per micro-batch."""
    fake_updates: int = Field(default=1, ge=1, le=10_000)
    """Updates of each fake score per update of the student."""
    reset_fake_every: int = Field(default=0, ge=0)
    """Reset the fake scores to the teacher every so many steps; 0 is never."""
    student: Optimiser = Optimiser(rate=5e-5, schedule="cosine_restarts")
    """How the student is optimised."""
    fake: Optimiser = Optimiser(rate=1e-4, beta1=0.0, schedule="cosine_restarts")
    """How each fake score is optimised."""
    teacher_noise_scale: float = Field(default=1.0, gt=0, le=1)
    """Noise scale γ of the tempered teacher (see `Tempered`); 1 is the teacher itself."""
    teacher_guidance: float = 1.0
    """Weight w of the teacher's classifier-free guidance, which the student learns; 1 is none."""
    validation_samples: int = Field(default=64, ge=1, le=1_000_000)
    """Samples drawn at each validation."""
    validation_noise_scale: float = Field(default=0.45, ge=0)
    """Their noise scale γ."""
    fit: Fit
    """The training run."""
