"""Settings of sampling and evaluation."""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import Field

from domains.config.base import Config, Name

__all__ = ["UNMODELLED", "Euler", "Evaluate", "Generate", "Renoise", "SampleSet", "Solver"]

# A teacher with fewer steps than this is not what its authors would run.
_FULL_TEACHER = {"sde": 100, "ode": 100, "dpm": 50}
# Sets that no model samples: held-out data, and objects that are wrong on purpose.
UNMODELLED = ("data", "decoys")


class Renoise(Config):
    """Few-step sampling with noise modulation."""

    kind: Literal["renoise"] = "renoise"
    """Chooses this sampler."""
    steps: int = Field(default=8, ge=1, le=400)
    """Network calls per sample."""
    noise_scale: float = Field(default=0.45, ge=0)
    """Noise scale γ of the fresh noise."""
    guidance: float = 1.0
    """Weight w of classifier-free guidance; 1 is none, and half the network calls."""


class Solver(Config):
    """LiDiff's sampler: SDE-DPM-Solver++ of second order."""

    kind: Literal["dpm"]
    """Chooses this sampler."""
    steps: int = Field(default=50, ge=1, le=999)
    """Network calls per sample, without guidance."""
    guidance: float = 1.0
    """Weight w of classifier-free guidance; LiDiff takes 6, Distillation-DPO 3.5."""

    @property
    def noise_scale(self) -> float:
        """The solver adds all of its noise."""
        return 1.0


class Euler(Config):
    """Proteina's sampler: its ODE, or its SDE with noise scale γ."""

    kind: Literal["sde", "ode"]
    """Chooses this sampler, with or without noise."""
    steps: int = Field(default=400, ge=1, le=10_000)
    """Network calls per sample."""
    noise_scale: float = Field(default=0.45, ge=0)
    """Noise scale γ of the SDE."""
    self_conditioning: bool = True
    """Feed the last clean estimate back to the network."""
    grid: Literal["log", "uniform", "power", "loglinear", "cos_sch_v_snr", "edm"] = "log"
    """Where the times are."""
    grid_power: float = Field(default=2.0, gt=0)
    """Exponent of log, power, cosine and EDM grids."""
    diffusion: Literal["1/t", "us", "tan"] = "1/t"
    """The SDE's function g(t)."""
    guidance: float = 1.0
    """Weight w of classifier-free guidance; 1 is none, and half the network calls."""


Sampler = Annotated[Renoise | Euler | Solver, Field(discriminator="kind")]


class SampleSet(Config):
    """One set of samples: a model and how it is sampled."""

    model: Name
    """`teacher`, a student's name, `data` (held-out natives) or `decoys` (made wrong of them)."""
    sampler: Sampler = Renoise()
    """How it is sampled; unused for `data` and `decoys`."""
    label: str = ""
    """Its name in the report; that of the model if empty."""
    refine: bool = False
    """Refine completed scenes: six points for each one (LiDAR)."""

    @property
    def role(self) -> str:
        """Return data, decoys, student, teacher, or teacher_naive (re-noised, or few steps)."""
        if self.model in UNMODELLED:
            return self.model
        if self.model != "teacher":
            return "student"
        naive = self.sampler.steps < _FULL_TEACHER.get(self.sampler.kind, math.inf)
        return "teacher_naive" if naive else "teacher"


class Generate(Config):
    """How many samples of which sizes, in shards."""

    lengths: tuple[Annotated[int, Field(ge=1, le=10_000)], ...] = ()
    """Sizes of proteins; each gets `per_length` samples."""
    per_length: int = Field(default=1, ge=1)
    """Samples of each size."""
    scenes: int | None = Field(default=None, ge=1)
    """Number of LiDAR scenes, drawn from the held-out sequences."""
    shard_size: int = Field(default=64, ge=1)
    """Samples per shard, the unit that is cached and retried."""
    batch_points: int = Field(default=4096, ge=1)
    """Points sampled at a time; bounds memory."""
    formats: tuple[Literal["cif", "pcd", "bin", "png"], ...] = ()
    """Also write mmCIF; PCD, KITTI `.bin`, and pictures of scenes."""

    @property
    def count(self) -> int:
        """Samples of a set."""
        return self.scenes or len(self.lengths) * self.per_length

    @property
    def shards(self) -> int:
        """Shards of a set; asking for more samples adds shards and changes none but the last."""
        return -(-self.count // self.shard_size)

    def shard(self, index: int) -> range:
        """Return the sample numbers of a shard."""
        return range(index * self.shard_size, min(self.count, (index + 1) * self.shard_size))

    def size(self, sample: int) -> int:
        """Return the size of a sample; lengths take turns, so a shard holds all of them.

        It is 0 where the model decides.
        """
        return self.lengths[sample % len(self.lengths)] if self.lengths else 0


class Evaluate(Config):
    """What is measured."""

    proxy: bool = True
    """Measure the designability proxy (needs the ProteinMPNN weights)."""
    novelty_shortlist: int = Field(default=50, ge=0)
    """Training domains that each sample is aligned to; 0 is off."""
    diversity: bool = True
    """Measure pairwise similarity and clusters."""
    folding_model: str | None = None
    """ESMFold weights (path or hub name) for real designability; off if not given."""
    transport: bool = True
    """Measure the earth mover's distance of scenes."""
    gallery: int = Field(default=6, ge=0)
    """Samples shown in the report."""
