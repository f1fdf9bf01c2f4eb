"""Sections of a run that every field has, and that each may extend: data, samples, measures."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from domains.config.as_trained import AS_TRAINED
from domains.distillation.sampling.settings import Euler, Jitter, Renoise, Solver
from domains.distillation.sampling.tuned import Tuned
from domains.settings import Config, Name

__all__ = [
    "FILES",
    "FULL_TEACHER",
    "UNMODELLED",
    "Data",
    "Evaluate",
    "Generate",
    "Listed",
    "SampleSet",
    "Sampler",
    "Screen",
]

# Steps of the samplers that a teacher is used with, by their kind: with fewer it is not what its
# authors would run, and counts as a teacher of few steps.
FULL_TEACHER = {"sde": 100, "ode": 100, "dpm": 50}
# Samples of the smallest shard whose size was not given.
LEAST_SHARD = 64
# Points times network calls that take a core some two minutes (proteina-small).
SHARD_POINTS = 300_000
# Each is a job, which Snakemake holds in memory.
_MOST_SHARDS = 100_000
# Sets that no model of the run samples: held-out data, objects that are wrong on purpose, files.
FILES = "files"
UNMODELLED = ("data", "decoys", FILES)

Ends = tuple[Annotated[int, Field(ge=1)], ...]
Sampler = Annotated[Renoise | Euler | Solver | Tuned | Jitter, Field(discriminator="kind")]


class Data(Config):
    """Where a field's data are."""

    path: str | None = None
    """File or directory of the data; none: what the field brings along."""

    @property
    def files(self) -> list[str]:
        """Return the file that everything is made of, if the data are one."""
        return [self.path] if self.path and Path(self.path).is_file() else []

    @property
    def is_simulated(self) -> bool:
        """Whether the data have to be made first."""
        return False

    def simulated(self, at: Path) -> list[Path]:
        """Return the directories that are made in ``at``, if the data are simulated."""
        return []

    def inputs(self) -> list[Path]:
        """Return one file for each sample, where samples are made of files; else nothing."""
        return []

    def located(self, simulated: str) -> Data:
        """Return the settings with simulated data at the path ``simulated``."""
        return self


def _or_as_trained(schema: dict[str, Any]) -> None:
    """Let editors know the word that is written out before a set is read."""
    whole = {key: schema.pop(key) for key in ("oneOf", "discriminator") if key in schema}
    schema["anyOf"] = [whole, {"const": AS_TRAINED, "type": "string"}]


class SampleSet(Config):
    """One set of samples: a model and how it is sampled, or the files of another program."""

    model: Name = FILES
    """`teacher`, the name of a student or of one of `models`, `data` (held-out) or `decoys` (what
    is wrong on purpose); left out where there are `files`."""
    files: str | None = Field(default=None, min_length=1)
    """Instead of a model: samples that another program has made, as a directory or a pattern such
    as `rfdiffusion/**/*.pdb`. LiDAR: completions that are called like their scenes."""
    chain: str | None = Field(default=None, min_length=1, max_length=4)
    """Of `files`: the chain that counts in a structure; needed where it has several (proteins)."""
    sampler: Sampler = Field(default=Renoise(), json_schema_extra=_or_as_trained)
    """How it is sampled; `as_trained` is how a student was in training, as the run's settings or
    its file tell. Unused without a model."""
    label: str = ""
    """Its name in the report; that of the model if empty."""
    reference: bool = False
    """Compare students with it. They are compared with the teacher's own samplers of 100 steps and
    more (`sde`, `ode`) or 50 (`dpm`) anyway, and with one of fewer if the run has no other."""
    refine: bool = False
    """Refine the samples. LiDAR: by the refinement network, six points for each one. Proteins:
    move each chain as little as makes all its Cα-Cα bonds .3807 nm long, without a network."""
    points: int | None = Field(default=None, ge=1)
    """Of `data` and `decoys`, draw so many points of each sample at random, to compare with samples
    of as many (LiDAR)."""

    @model_validator(mode="after")
    def _samples_come_from_somewhere(self) -> SampleSet:
        if (self.files is None) == (self.model == FILES):
            raise ValueError("give either model or files")
        if self.chain is not None and self.files is None:
            raise ValueError("chain is of use with files only")
        if self.refine and self.model in UNMODELLED:
            raise ValueError(f"refine is of use with models only, not with {self.model}")
        return self

    @property
    def role(self) -> str:
        """Return data, decoys, files, student, teacher, or teacher_naive (few or noisy steps)."""
        if self.model in UNMODELLED:
            return self.model
        if self.sampler.kind == "jitter":
            return "decoys"
        if self.reference:
            return "teacher"
        if self.model != "teacher":
            return "student"
        naive = self.sampler.steps < FULL_TEACHER.get(self.sampler.kind, math.inf)
        return "teacher_naive" if naive else "teacher"


Precision = Literal["32-true", "tf32", "bf16-mixed"]


class Generate(Config, ABC):
    """How many samples of a set, in shards; each field says what they are asked to be."""

    formats: tuple[str, ...] = ()
    """Other forms to write samples in, beside the field's own."""
    shard_size: int | None = Field(default=None, ge=1)
    """Samples per shard, the unit that is cached and retried. None: by the set, as many as take a
    core some two minutes where sizes are known, and 64 at least, so that starting a job is no
    cost to speak of."""
    batch_points: int = Field(default=4096, ge=1)
    """Points sampled at a time; bounds memory."""
    precision: Precision = "32-true"
    """Of the networks: exact; float32 multiplied in TF32 (NVIDIA GPUs since Ampere); or bfloat16
    where that is harmless, twice as fast where the processor multiplies it (GPUs, AMX)."""
    shard_ends: Ends = ()
    """Where shards end if not at multiples of `shard_size`."""
    shard_ends_of: dict[Name, Ends] = Field(default_factory=dict)
    """The same of single sets; the workflow writes it into a run's `config.json`, so that asking
    for more samples changes no shard."""

    @model_validator(mode="after")
    def _shards_can_be_handled(self) -> Generate:
        if (shards := -(-self.count // (self.shard_size or LEAST_SHARD))) > _MOST_SHARDS:
            raise ValueError(f"shard_size gives {shards} shards, more than {_MOST_SHARDS}")
        return self

    @model_validator(mode="after")
    def _shards_are_all_samples(self) -> Generate:
        for ends in (self.shard_ends, *self.shard_ends_of.values()):
            if ends and (sorted(set(ends)) != list(ends) or ends[-1] != self.count):
                raise ValueError(f"shard_ends must rise to the number of samples, {self.count}")
        return self

    @property
    @abstractmethod
    def count(self) -> int:
        """Number of samples of a set."""

    @property
    def ends(self) -> tuple[int, ...]:
        """Where shards end."""
        size = self.shard_size or LEAST_SHARD
        return self.shard_ends or (*range(size, self.count, size), self.count)

    @property
    def shards(self) -> int:
        """Shards of a set."""
        return len(self.ends)

    @property
    def parts(self) -> list[range]:
        """Return the sample numbers of all shards."""
        return [range(*ends) for ends in pairwise((0, *self.ends))]

    def shard(self, index: int) -> range:
        """Return the sample numbers of a shard."""
        return range(self.ends[index - 1] if index else 0, self.ends[index])

    def of_set(self, name: str, calls: int) -> Generate:
        """Return the plan of one set, whose samples take so many network calls each."""
        ends = self.shard_ends_of.get(name, self.shard_ends)
        plan = self.model_copy(update={"shard_ends": ends, "shard_ends_of": {}})
        if self.shard_size is not None:
            return plan
        known = range(min(self.count, LEAST_SHARD))
        points = sum(map(self.size, known)) / max(1, len(known))
        enough = math.ceil(SHARD_POINTS / (points * calls)) if points else LEAST_SHARD
        return plan.model_copy(update={"shard_size": max(LEAST_SHARD, enough)})

    def following(self, earlier: Generate, resized: bool) -> tuple[int, ...]:
        """Return where shards end if those of an earlier plan are kept; nothing: as they would.

        Args:
            earlier: The same set's plan at the last start.
            resized: Whether shards of another size were asked for: for as many samples as before,
                that was meant.
        """
        if resized and self.count == earlier.count and self.shard_size != earlier.shard_size:
            return self.shard_ends
        kept = [end for end in earlier.ends if end <= self.count]
        size, first = self.shard_size or LEAST_SHARD, kept[-1] if kept else 0
        new = [*range(first + size, self.count, size), self.count]
        ends = (*kept, *(new if first < self.count else []))
        return () if ends == self.ends else ends

    def size(self, sample: int) -> int:
        """Return the number of points of a sample; 0 where the model or its input decides."""
        return 0

    def request_key(self, sample: int) -> tuple[object, ...]:
        """Return all settings that decide a sample's request; a change samples it anew."""
        return (sample,)

    @property
    def files(self) -> list[str]:
        """Return the files that must be there before anything is sampled."""
        return []


class Listed(Generate):
    """The samples of a set that is there already, one for each file."""

    listed: int = Field(ge=1)
    """Number of files."""

    @property
    def count(self) -> int:
        """Number of samples of the set."""
        return self.listed


class Evaluate(Config):
    """What is measured; each field has its own measures."""

    most: int | None = Field(default=1000, ge=2)
    """Samples that are measured, drawn at random from a larger set; null is all of them."""
    gallery: int = Field(default=6, ge=0, le=1000)
    """Samples shown in the report."""

    @property
    def needs_gpu(self) -> bool:
        """Whether a measure is a network of gigabytes."""
        return False

    def measures_all(self, count: int) -> bool:
        """Return whether every measure is of all samples of a set, not of some drawn from it."""
        return self.most is None or self.most >= count

    @property
    def files(self) -> list[str]:
        """Return the files that must be there before anything is measured."""
        return []


class Screen(Config):
    """From all samples of a set to the few that pass gates; each field has its own gates."""

    sets: tuple[Name, ...] = ()
    """Sets that are screened; all but `data` and `decoys` if not given."""

    @property
    def needs_tools(self) -> bool:
        """Whether a gate needs weights that have to be fetched."""
        return False
