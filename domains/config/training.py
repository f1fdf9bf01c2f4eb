"""Settings of teacher training and distillation; YAML holds only departures from these."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from domains.config.base import Config

__all__ = [
    "Distil",
    "Fit",
    "ObjectiveConfig",
    "Optimiser",
    "Pretrain",
    "SiDConfig",
    "Times",
    "VSDConfig",
]


class Optimiser(Config):
    """How one role is optimised, by Adam.

    ``schedule`` "cosine" decays to ``floor`` at the last step, "cosine_restarts" is SGDR with
    ``period`` doubled at each restart. ``clip`` bounds the gradient norm.
    """

    rate: float = Field(default=1e-4, gt=0)
    beta1: float = Field(default=0.9, ge=0, lt=1)
    beta2: float = Field(default=0.999, ge=0, lt=1)
    clip: float = Field(default=1.0, gt=0)
    schedule: Literal["constant", "cosine", "cosine_restarts"] = "constant"
    warmup: int = Field(default=0, ge=0)
    floor: float = Field(default=1e-6, ge=0)
    period: int = Field(default=1000, ge=1)


class Times(Config):
    """Where training times are drawn (see ``TimeDistribution``)."""

    kind: Literal["beta", "log_grid"]
    low: float = Field(default=0.0, ge=0, lt=1)
    high: float = Field(default=1.0, gt=0, le=1)

    @model_validator(mode="after")
    def _ordered(self) -> Times:
        if self.low >= self.high:
            raise ValueError(f"low {self.low} must be below high {self.high}")
        return self


class SiDConfig(Config):
    """Score identity Distillation; the defaults are 2510.03095's."""

    kind: Literal["sid"] = "sid"
    alpha: float = 1.0
    scale: float = Field(default=100.0, gt=0)
    weighting: Literal["mean", "reference"] = "mean"
    student_times: Times = Times(kind="log_grid", low=0.02, high=0.98)
    fake_times: Times = Times(kind="beta", low=0.02, high=0.98)


class VSDConfig(Config):
    """Variational score distillation / Diff-Instruct."""

    kind: Literal["vsd"] = "vsd"
    scale: float = Field(default=1.0, gt=0)
    student_times: Times = Times(kind="log_grid", low=0.02, high=0.98)
    fake_times: Times = Times(kind="beta", low=0.02, high=0.98)


ObjectiveConfig = Annotated[SiDConfig | VSDConfig, Field(discriminator="kind")]


class RollOutConfig(Config):
    """The student's steps during training, and the noise scale γ of its roll-out."""

    steps: int = Field(default=8, ge=1, le=400)
    noise_scale: float = Field(default=1.0, ge=0)


class Fit(Config):
    """A training run: its length, its batches, what is kept.

    Attributes:
        steps: Optimisation steps of the student.
        accumulate: Micro-batches per step.
        ema: Decay of the student's running average, per step (ramped up at the start).
        precision: Of the networks' forward passes.
        checkpoint_every, validate_every, log_every: In steps; 0 is never.
        max_seconds: Stop (resumably) after this long, or None.
    """

    steps: int = Field(ge=1)
    accumulate: int = Field(default=1, ge=1)
    ema: float = Field(default=0.99, ge=0, lt=1)
    precision: Literal["32-true", "bf16-mixed"] = "32-true"
    checkpoint_every: int = Field(default=100, ge=1)
    validate_every: int = Field(default=0, ge=0)
    log_every: int = Field(default=10, ge=1)
    max_seconds: float | None = Field(default=None, gt=0)


class Lengths(Config):
    """Sizes of samples: uniform integers in [low, high]."""

    low: int = Field(default=40, ge=1)
    high: int = Field(default=80, ge=1)

    @model_validator(mode="after")
    def _ordered(self) -> Lengths:
        if self.low > self.high:
            raise ValueError(f"low {self.low} must not exceed high {self.high}")
        return self


class Pretrain(Config):
    """A teacher trained from scratch: its network (``model.nn`` keys), data and fit."""

    network: dict[str, Any]
    data: str | None = None
    lengths: Lengths = Lengths()
    residues_per_batch: int = Field(default=1000, ge=16)
    optimiser: Optimiser = Optimiser()
    fit: Fit


class Distil(Config):
    """A student: objective, roll-out, optimisers, fit.

    Attributes:
        fake_updates: Updates of each fake score per update of the student.
        reset_fake_every: Reset the fake scores to the teacher every so many steps; 0 never.
        batch_size: Samples per micro-batch.
        teacher_noise_scale: γ of the tempered teacher (see ``Tempered``); 1 is the teacher.
        validation_samples: Samples drawn at each validation.
        validation_noise_scale: Their γ.
    """

    objective: ObjectiveConfig = SiDConfig()
    roll_out: RollOutConfig = RollOutConfig()
    lengths: Lengths = Lengths()
    batch_size: int = Field(default=16, ge=1)
    fake_updates: int = Field(default=1, ge=1)
    reset_fake_every: int = Field(default=0, ge=0)
    student: Optimiser = Optimiser(rate=5e-5, schedule="cosine_restarts")
    fake: Optimiser = Optimiser(rate=1e-4, beta1=0.0, schedule="cosine_restarts")
    teacher_noise_scale: float = Field(default=1.0, gt=0, le=1)
    validation_samples: int = Field(default=64, ge=1)
    validation_noise_scale: float = Field(default=0.45, ge=0)
    fit: Fit
