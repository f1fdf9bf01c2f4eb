"""Settings of teacher training and distillation; YAML holds only departures from these."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import Field, model_validator

from domains.distillation.objectives.objective import ObjectiveConfig
from domains.distillation.objectives.registry import settings_by_kind, settings_union
from domains.distillation.objectives.sid import SiDConfig
from domains.distillation.sampling.rescale import Rescale
from domains.distillation.sampling.roll_out import RollOutConfig
from domains.distillation.student import check_told
from domains.distillation.training.settings import INCIDENTAL, Degradation, Fit, Optimiser
from domains.settings import MOST_SEED, Config, FoldClass, Name

__all__ = ["Distil", "Expert", "Pretrain", "deciding"]

if TYPE_CHECKING:
    AnyObjective = ObjectiveConfig
else:
    AnyObjective = settings_union()


class Pretrain(Config):
    """A teacher trained from scratch."""

    network: dict[str, Any]
    """Its architecture: the keys of Proteina's `model.nn`, or of LiDiff's networks."""
    start: str | None = None
    """A model to go on from (directory or bundled name): of this architecture, but its features
    may be fewer; none: afresh."""
    optimiser: Optimiser = Optimiser()
    """How the network is optimised."""
    fit: Fit
    """The training run."""


class Expert(Config):
    """A model that is the teacher of the samples of one class."""

    fold: FoldClass
    """The class, such as `1` or `2.60`, with all that are finer."""
    model: Name
    """One of the run's `models`."""


class Distil(Config):
    """A student: objective, roll-out, optimisers, fit."""

    seed: int | None = Field(default=None, ge=0, le=MOST_SEED)
    """Of its training, to tell chance from merit; the run's if not given. Draws depend on it and on
    the student's name, so that no two students share their luck."""
    start: str | None = Field(default=None, min_length=1)
    """What it starts from: another student of the run (trained first), one of its `models`, a model
    directory or a bundled name, of the teacher's architecture; none: a copy of the teacher."""
    layers: int | None = Field(default=None, ge=1, exclude_if=lambda given: given is None)
    """A smaller student: so many of the teacher's layers, dropped evenly, with their weights; fake
    scores keep all. None: all (proteins)."""
    objective: AnyObjective = SiDConfig()
    """What is minimised."""
    roll_out: RollOutConfig = RollOutConfig()
    """How the student samples during training."""
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
    teacher_rescale: Rescale | None = None
    """Sharpen the teacher's score instead, which keeps strands where noise scales do
    not; `flow_map` integrates this ODE."""
    teacher_asked_twice: bool = False
    """Ask the teacher twice for each score, the second time told its first estimate, as networks
    trained with self-conditioning are best; a call more (proteins; `flow_map` does so itself)."""
    teacher_guidance: float = 1.0
    """Weight w of the teacher's guidance, which the student learns; 1 is none."""
    teacher_autoguidance: float = Field(default=0.0, ge=0, le=1)
    """Share of autoguidance, away from the run's `weaker` model; the rest is classifier-free."""
    experts: tuple[Expert, ...] = Field(default=(), exclude_if=lambda given: not given)
    """Merge teachers: models that are the teachers of samples told these classes, finer classes
    first. All other samples, and those told none, have the run's `teacher` (proteins)."""
    fake_guidance: float = 1.0
    """Weight w of the fake scores' guidance in the student's loss: 1 is none, 0 asks them without
    the condition, below 0 they are pushed away from it (see docs/reference/objectives.md)."""
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
    def precision(self) -> str:
        """Of the networks' forward passes."""
        return self.fit.precision

    @property
    def is_led(self) -> bool:
        """Whether recorded fake scores lead it to the teacher (DisBack)."""
        return self.degradation is not None

    @property
    def told_levels(self) -> str | None:
        """The finest level of the classes that samples are told; None where a field has none."""
        return None

    @model_validator(mode="after")
    def _objective_fits(self) -> Distil:
        self.objective.check(self)
        if self.roll_out.shared and not self.objective.shares_roll_out:
            raise ValueError(
                f"roll_out.shared: does not go with the objective {self.objective.kind}"
            )
        return self

    @model_validator(mode="after")
    def _experts_have_samples(self) -> Distil:
        if self.experts and self.told_levels is None:
            raise ValueError("experts: the field has no classes that a student could be told")
        folds = [one.fold for one in self.experts]
        for one in self.experts:
            check_told(self, one.fold, f"for {one.model} to be the expert of {one.fold}")
            if folds.count(one.fold) > 1:
                raise ValueError(f"experts: there are two of {one.fold}")
        return self

    @model_validator(mode="after")
    def _colder_in_one_way(self) -> Distil:
        if self.teacher_rescale and self.teacher_noise_scale != 1:
            raise ValueError("either teacher_rescale or teacher_noise_scale, not both")
        return self

    @model_validator(mode="after")
    def _degradation_leads_to_the_teacher(self) -> Distil:
        """The path is of the one fake score, which nothing sets back, and ends at the teacher."""
        if self.degradation is None:
            return self
        if not self.objective.degradable:
            known = ", ".join(kind for kind, one in settings_by_kind().items() if one.degradable)
            raise ValueError(f"degradation: goes with the objectives of one fake score: {known}")
        if self.reset_fake_every:
            raise ValueError("reset_fake_every: must be 0 with degradation")
        if self.fit.steps is not None and self.fit.steps <= self.degradation.arrival:
            least = self.degradation.arrival
            raise ValueError(f"fit.steps: must be above {least}, where degradation ends")
        return self


def deciding(training: Pretrain | Distil) -> str:
    """Write, as JSON, the settings that decide what a training results in."""
    return training.model_dump_json(exclude={"fit": INCIDENTAL})
