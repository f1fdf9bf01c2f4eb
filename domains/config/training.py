"""Settings of teacher training and distillation; YAML holds only departures from these."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from domains.config.base import MOST_SEED, Config
from domains.config.folds import Told
from domains.config.objectives import (
    FDistillConfig,
    FlowMapConfig,
    ObjectiveConfig,
    PhasedDMDConfig,
    RCMConfig,
    SFDConfig,
    SiDConfig,
    TDMConfig,
)
from domains.config.preferences import DiffusionDPOConfig, DistillationDPOConfig
from domains.config.roll_out import RollOutConfig
from domains.config.samplers import RescaleConfig

__all__ = [
    "INCIDENTAL",
    "Degradation",
    "Distil",
    "Fit",
    "Lengths",
    "Optimiser",
    "Pretrain",
    "deciding",
]

# Settings of a fit that change when a run stops or what it prints, but not its result.
INCIDENTAL = {"activation_checkpointing", "checkpoint_every", "log_every", "max_seconds"}
_ONE_FAKE_SCORE = ("sid", "vsd", "sim", "f_distill", "tdm", "score_lidar")


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


class Fit(Config):
    """A training run: its length, its batches, what is kept."""

    steps: int | None = Field(default=None, ge=1, le=1_000_000_000)
    """Optimisation steps of the student; this or `network_calls`."""
    network_calls: int | None = Field(default=None, ge=1, le=10**15)
    """Instead: train until the networks were called so often, a sample at a time; a call that is
    differentiated counts three. What costs the same whatever the objective."""
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
    validations: int = Field(default=0, ge=0, le=1_000_000)
    """Instead: so many, evenly over the training and one at its end; students that choose their
    best checkpoint are compared fairly only if they have as many to choose from."""
    log_every: int = Field(default=10, ge=1)
    """Steps between rows of the log."""
    max_seconds: float | None = Field(default=None, gt=0)
    """Stop (resumably) after this long."""

    @model_validator(mode="after")
    def _one_end(self) -> Fit:
        if (self.steps is None) == (self.network_calls is None):
            raise ValueError("either steps or network_calls says when training ends")
        if self.validations and self.validate_every:
            raise ValueError("either validate_every or validations says when to validate")
        return self

    def validations_until(self, steps: int, network_calls: int) -> int:
        """Return how many validations are due after so many steps, which cost so many calls."""
        if not self.validations:
            return steps // self.validate_every if self.validate_every else 0
        if self.network_calls is not None:
            return self.validations * min(network_calls, self.network_calls) // self.network_calls
        return self.validations * steps // (self.steps or 1)

    def progress(self, step: int, network_calls: int) -> float:
        """Return how much of the training is done before update `step` (from 0): 0 to 1.

        The last of so many steps has 1.
        """
        if self.network_calls is not None:
            return min(1.0, network_calls / self.network_calls)
        return min(1.0, step / max(1, (self.steps or 1) - 1))

    def is_done(self, steps: int, network_calls: int) -> bool:
        """Return whether so many steps, which cost so many network calls, are enough."""
        if self.network_calls is not None:
            return network_calls >= self.network_calls
        return steps >= (self.steps or 0)


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


class Degradation(Config):
    """DisBack: the student is led to the teacher over the way back from its own samples.

    (checkpoints + 1) × steps steps of the fit record the way, and train the fake score only.
    """

    checkpoints: int = Field(default=3, ge=1, le=100)
    """Networks between the fake score's start and the teacher, recorded one after the other."""
    steps: int = Field(default=50, ge=1, le=1_000_000)
    """Steps from one to the next."""
    switch_every: int = Field(default=50, ge=1, le=1_000_000)
    """Steps of the student towards each of them, the latest first; then towards the teacher."""

    @property
    def recording(self) -> int:
        """Steps before the student's first."""
        return (self.checkpoints + 1) * self.steps

    @property
    def arrival(self) -> int:
        """Step from which on the teacher itself is the target."""
        return self.recording + self.checkpoints * self.switch_every


def _finest(shares: tuple[float, ...] | None) -> str | None:
    """Return the finest level of CATH that any sample is told, if any is."""
    told = [level for level, share in zip("CAT", (shares or ())[1:], strict=False) if share]
    return told[-1] if told else None


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
    fold: Told | None = None
    """Tell nine samples of ten a fold class, that of a training domain of their length, down to
    this level of CATH; or four numbers, the shares of samples that are told nothing, C, C and A,
    and all of C, A, T; none: never. The teacher must know fold classes (proteins)."""
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
    teacher_rescale: RescaleConfig | None = None
    """Sharpen the teacher's score instead (`Rescale`), which keeps strands where noise scales do
    not; `flow_map` integrates this ODE."""
    teacher_guidance: float = 1.0
    """Weight w of the teacher's guidance, which the student learns; 1 is none."""
    teacher_autoguidance: float = Field(default=0.0, ge=0, le=1)
    """Share of autoguidance, away from the run's `weaker` model; the rest is classifier-free."""
    fake_guidance: float = 1.0
    """Weight w of the fake scores' guidance in the student's loss: 1 is none, 0 asks them without
    the condition, below 0 they are pushed away from it (see docs/objectives.md)."""
    fake_training_guidance: float = 1.0
    """The same in the fake scores' own loss."""
    degradation: Degradation | None = None
    """Lead the student to the teacher over recorded networks (DisBack); none: straight."""
    validation_samples: int = Field(default=64, ge=1, le=1_000_000)
    """Samples drawn at each validation."""
    validation_noise_scale: float = Field(default=0.45, ge=0)
    """Their noise scale γ."""
    fit: Fit
    """The training run."""

    @property
    def needs_tools(self) -> bool:
        """Whether samples are ranked by weights that have to be fetched."""
        given = self.objective
        pairs = isinstance(given, DistillationDPOConfig | DiffusionDPOConfig)
        return pairs and given.preference == "cross_nll"

    @model_validator(mode="after")
    def _weights_need_company(self) -> Distil:
        """The weights of f-distill are relative to a micro-batch's mean: of one they are 1."""
        given = self.objective
        weighed = isinstance(given, FDistillConfig) and given.divergence != "reverse_kl"
        if weighed and self.batch_size < 2:
            raise ValueError("batch_size: f_distill weighs samples of a batch: at least 2")
        return self

    @model_validator(mode="after")
    def _trajectories_are_deterministic(self) -> Distil:
        """TDM cuts the ODE's trajectory, which re-noising leaves."""
        if isinstance(self.objective, TDMConfig) and not self.roll_out.deterministic:
            raise ValueError("roll_out.deterministic: must be true for the objective tdm")
        return self

    @model_validator(mode="after")
    def _flow_maps_are_deterministic(self) -> Distil:
        """With fresh noise a step has no end to learn, only a mean of ends."""
        given = self.objective
        if not isinstance(given, FlowMapConfig):
            return self
        if not self.roll_out.deterministic:
            raise ValueError("roll_out.deterministic: must be true for the objective flow_map")
        if given.step_weights and len(given.step_weights) != self.roll_out.steps:
            raise ValueError("objective.step_weights: one for each of roll_out.steps")
        if given.step_weights and not any(given.step_weights):
            raise ValueError("objective.step_weights: at least one must be above 0")
        return self

    @model_validator(mode="after")
    def _colder_in_one_way(self) -> Distil:
        if self.teacher_rescale and self.teacher_noise_scale != 1:
            raise ValueError("either teacher_rescale or teacher_noise_scale, not both")
        return self

    @model_validator(mode="after")
    def _forgotten_classes_are_told(self) -> Distil:
        """Else no sample would be asked for the class to forget."""
        if isinstance(self.objective, SFDConfig):
            forget = self.objective.forget
            levels = "CAT"[forget.count(".") :]
            told = self.fold if isinstance(self.fold, str) else _finest(self.fold)
            if told is None or told not in levels:
                one = " or ".join(levels)
                raise ValueError(f"fold: must be {one} for the objective sfd to forget {forget}")
        return self

    @model_validator(mode="after")
    def _tangents_are_exact(self) -> Distil:
        """The rounding of half precision is as large as the difference that rCM divides."""
        if isinstance(self.objective, RCMConfig) and self.fit.precision != "32-true":
            raise ValueError("fit.precision: must be 32-true for the objective rcm")
        return self

    @model_validator(mode="after")
    def _phases_have_steps(self) -> Distil:
        """A phase is made of whole steps."""
        given = self.objective
        if isinstance(given, PhasedDMDConfig) and given.phases > self.roll_out.steps:
            raise ValueError("objective.phases: must not exceed roll_out.steps")
        return self

    @model_validator(mode="after")
    def _degradation_leads_to_the_teacher(self) -> Distil:
        """The path is of the one fake score, which nothing sets back, and ends at the teacher."""
        if self.degradation is None:
            return self
        if self.objective.kind not in _ONE_FAKE_SCORE:
            known = ", ".join(_ONE_FAKE_SCORE)
            raise ValueError(f"degradation: goes with the objectives of one fake score: {known}")
        if self.reset_fake_every:
            raise ValueError("reset_fake_every: must be 0 with degradation")
        if self.fit.steps is not None and self.fit.steps <= self.degradation.arrival:
            least = self.degradation.arrival
            raise ValueError(f"fit.steps: must be above {least}, where degradation ends")
        return self


def deciding(training: Pretrain | Distil) -> str:
    """Return, as JSON, the settings that decide what a training results in."""
    return training.model_dump_json(exclude={"fit": INCIDENTAL})
