"""Typed configuration: everything a run can be told, checked before any job starts.

Imports no torch: Snakemake parses it on a login node. YAML holds only departures from the
defaults written here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from domains.errors import FewstepError

__all__ = ["RunConfig", "SampleSet", "load_config"]

# A teacher with fewer steps than this is not what its authors would run.
_FULL_TEACHER = 100

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")]


class Config(BaseModel):
    """Frozen, and a key that is not known is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Optimiser(Config):
    """How one role is optimised, by Adam.

    ``schedule`` "cosine" decays to ``floor`` at the last step, "cosine_restarts" is SGDR with ``period``
    doubled at each restart. ``clip`` bounds the gradient norm.
    """

    rate: float = Field(1e-4, gt=0)
    beta1: float = Field(0.9, ge=0, lt=1)
    beta2: float = Field(0.999, ge=0, lt=1)
    clip: float = Field(1.0, gt=0)
    schedule: Literal["constant", "cosine", "cosine_restarts"] = "constant"
    warmup: int = Field(0, ge=0)
    floor: float = Field(1e-6, ge=0)
    period: int = Field(1000, ge=1)


class Times(Config):
    """Where training times are drawn (see ``TimeDistribution``)."""

    kind: Literal["beta", "log_grid"]
    low: float = Field(0.0, ge=0, lt=1)
    high: float = Field(1.0, gt=0, le=1)

    @model_validator(mode="after")
    def _ordered(self) -> Times:
        if self.low >= self.high:
            raise ValueError(f"low {self.low} must be below high {self.high}")
        return self


class SiDConfig(Config):
    """Score identity Distillation; the defaults are 2510.03095's."""

    kind: Literal["sid"] = "sid"
    alpha: float = 1.0
    scale: float = Field(100.0, gt=0)
    weighting: Literal["mean", "reference"] = "mean"
    student_times: Times = Times(kind="log_grid", low=0.02, high=0.98)
    fake_times: Times = Times(kind="beta", low=0.02, high=0.98)


class VSDConfig(Config):
    """Variational score distillation / Diff-Instruct."""

    kind: Literal["vsd"] = "vsd"
    scale: float = Field(1.0, gt=0)
    student_times: Times = Times(kind="log_grid", low=0.02, high=0.98)
    fake_times: Times = Times(kind="beta", low=0.02, high=0.98)


ObjectiveConfig = Annotated[SiDConfig | VSDConfig, Field(discriminator="kind")]


class RollOutConfig(Config):
    """The student's steps during training, and the noise scale γ of its roll-out."""

    steps: int = Field(8, ge=1, le=400)
    noise_scale: float = Field(1.0, ge=0)


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
    accumulate: int = Field(1, ge=1)
    ema: float = Field(0.99, ge=0, lt=1)
    precision: Literal["32-true", "bf16-mixed"] = "32-true"
    checkpoint_every: int = Field(100, ge=1)
    validate_every: int = Field(0, ge=0)
    log_every: int = Field(10, ge=1)
    max_seconds: float | None = Field(None, gt=0)


class Lengths(Config):
    """Sizes of samples: uniform integers in [low, high]."""

    low: int = Field(40, ge=1)
    high: int = Field(80, ge=1)

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
    residues_per_batch: int = Field(1000, ge=16)
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
    batch_size: int = Field(16, ge=1)
    fake_updates: int = Field(1, ge=1)
    reset_fake_every: int = Field(0, ge=0)
    student: Optimiser = Optimiser(rate=5e-5, schedule="cosine_restarts")
    fake: Optimiser = Optimiser(rate=1e-4, beta1=0.0, schedule="cosine_restarts")
    teacher_noise_scale: float = Field(1.0, gt=0, le=1)
    validation_samples: int = Field(64, ge=1)
    validation_noise_scale: float = Field(0.45, ge=0)
    fit: Fit


class Renoise(Config):
    """Few-step sampling with noise modulation."""

    kind: Literal["renoise"] = "renoise"
    steps: int = Field(8, ge=1)
    noise_scale: float = Field(0.45, ge=0)


class Euler(Config):
    """Proteina's sampler: its ODE, or its SDE with noise scale γ."""

    kind: Literal["sde", "ode"]
    steps: int = Field(400, ge=1)
    noise_scale: float = Field(0.45, ge=0)
    self_conditioning: bool = True
    grid: Literal["log", "uniform", "power", "loglinear", "cos_sch_v_snr", "edm"] = "log"
    grid_power: float = Field(2.0, gt=0)
    diffusion: Literal["1/t", "us", "tan"] = "1/t"


Sampler = Annotated[Renoise | Euler, Field(discriminator="kind")]


class SampleSet(Config):
    """One set of samples: a model and how it is sampled.

    ``model`` is "teacher", a student's name, or "data" (held-out natives).
    """

    model: Name
    sampler: Sampler = Renoise()
    label: str = ""

    @property
    def role(self) -> str:
        """Return data, student, teacher, or teacher_naive (re-noised, or under 100 steps)."""
        if self.model == "data":
            return "data"
        if self.model != "teacher":
            return "student"
        naive = self.sampler.kind == "renoise" or self.sampler.steps < _FULL_TEACHER
        return "teacher_naive" if naive else "teacher"


class Generate(Config):
    """How many samples of which sizes, in shards.

    Attributes:
        lengths: Sizes; each gets ``per_length`` samples.
        shard_size: Samples per shard, the unit that is cached and retried.
        batch_points: Points sampled at a time; bounds memory.
        mmcif: Also write mmCIF.
    """

    lengths: tuple[Annotated[int, Field(ge=1, le=10_000)], ...] = Field(min_length=1)
    per_length: int = Field(ge=1)
    shard_size: int = Field(64, ge=1)
    batch_points: int = Field(4096, ge=1)
    mmcif: bool = False

    @property
    def count(self) -> int:
        """Samples of a set."""
        return len(self.lengths) * self.per_length

    @property
    def shards(self) -> int:
        """Shards of a set; asking for more samples adds shards and changes none but the last."""
        return -(-self.count // self.shard_size)

    def shard(self, index: int) -> range:
        """Return the sample numbers of a shard."""
        return range(index * self.shard_size, min(self.count, (index + 1) * self.shard_size))

    def size(self, sample: int) -> int:
        """Return the size of a sample; lengths take turns, so a shard holds all of them."""
        return self.lengths[sample % len(self.lengths)]


class Evaluate(Config):
    """What is measured.

    Attributes:
        proxy: Measure the designability proxy (needs the ProteinMPNN weights).
        novelty_shortlist: Training domains that each sample is aligned to; 0 is off.
        diversity: Measure pairwise similarity and clusters.
        folding_model: ESMFold weights (path or hub name) for real designability, or None.
        gallery: Samples shown in the report.
    """

    proxy: bool = True
    novelty_shortlist: int = Field(50, ge=0)
    diversity: bool = True
    folding_model: str | None = None
    gallery: int = Field(6, ge=0)


class RunConfig(Config):
    """A whole run, from teacher to report."""

    name: Name
    domain: Literal["protein"]
    seed: int = Field(0, ge=0)
    teacher: str
    pretrain: Pretrain | None = None
    students: dict[Name, Distil] = {}
    generate: Generate
    sets: dict[Name, SampleSet]
    evaluate: Evaluate = Evaluate()
    title: str = ""
    notes: str = ""

    @model_validator(mode="after")
    def _known_models(self) -> RunConfig:
        known = {"teacher", "data", *self.students}
        for name, sample_set in self.sets.items():
            if sample_set.model not in known:
                raise ValueError(
                    f"sets.{name}.model is {sample_set.model!r}, not one of {sorted(known)}"
                )
        return self


class _UniqueKeys(yaml.SafeLoader):
    """A YAML loader that refuses a key given twice."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for key in keys:
            if keys.count(key) > 1:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} is given twice", node.start_mark
                )
        return super().construct_mapping(node, deep)


def load_config(path: Path) -> RunConfig:
    """Read and validate a run's YAML.

    Raises:
        FewstepError: The file is missing, no YAML, or says something that can't be.
    """
    path = Path(path)
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=_UniqueKeys)
    except (OSError, UnicodeDecodeError) as error:
        raise FewstepError(f"can't read the config {path}", got=error) from error
    except yaml.YAMLError as error:
        raise FewstepError(f"{path} is no valid YAML", got=error, do="Mend it") from error
    return parse_config(content, str(path))


def parse_config(content: Any, source: str = "config") -> RunConfig:
    """Validate a run's settings as read from YAML; ``source`` names them in messages."""
    try:
        return RunConfig.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise FewstepError(
            f"{source}, {where}: {first['msg']}",
            got=repr(first.get("input"))[:80],
            do="See docs/configuration.md for the keys and their ranges",
        ) from error
