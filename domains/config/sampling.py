"""Settings of sampling and evaluation."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from domains.config.base import Config, Name

__all__ = ["Euler", "Evaluate", "Generate", "Renoise", "SampleSet"]

# A teacher with fewer steps than this is not what its authors would run.
_FULL_TEACHER = 100


class Renoise(Config):
    """Few-step sampling with noise modulation."""

    kind: Literal["renoise"] = "renoise"
    steps: int = Field(default=8, ge=1)
    noise_scale: float = Field(default=0.45, ge=0)


class Euler(Config):
    """Proteina's sampler: its ODE, or its SDE with noise scale γ."""

    kind: Literal["sde", "ode"]
    steps: int = Field(default=400, ge=1)
    noise_scale: float = Field(default=0.45, ge=0)
    self_conditioning: bool = True
    grid: Literal["log", "uniform", "power", "loglinear", "cos_sch_v_snr", "edm"] = "log"
    grid_power: float = Field(default=2.0, gt=0)
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
    shard_size: int = Field(default=64, ge=1)
    batch_points: int = Field(default=4096, ge=1)
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
    novelty_shortlist: int = Field(default=50, ge=0)
    diversity: bool = True
    folding_model: str | None = None
    gallery: int = Field(default=6, ge=0)
