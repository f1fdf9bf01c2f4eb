"""Settings of sampling and evaluation."""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from domains.config.base import Config, FoldClass, Name
from domains.config.contig import readable_contig
from domains.config.folds import TRAINING_DOMAINS, FoldDistribution
from domains.config.samplers import Euler, Renoise, Solver, Tuned

__all__ = [
    "FOLD_REFERENCES",
    "PACKED",
    "UNMODELLED",
    "Evaluate",
    "Generate",
    "SampleSet",
    "Sampler",
    "Scaffold",
]

# A teacher with fewer steps than this is not what its authors would run.
_FULL_TEACHER = {"sde": 100, "ode": 100, "dpm": 50}
# Each is a job, which Snakemake holds in memory.
_MOST_SHARDS = 100_000
# What a name of a packed domain starts with.
PACKED = "cath:"
# Sets that no model samples: held-out data, and objects that are wrong on purpose.
UNMODELLED = ("data", "decoys")
# Sets of structures that the paper of Proteina compares folds with.
FOLD_REFERENCES = ("pdb", "afdb")


Sampler = Annotated[Renoise | Euler | Solver | Tuned, Field(discriminator="kind")]


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


class Scaffold(Config):
    """A motif, and the chains to be designed around it."""

    structure: str
    """PDB or mmCIF file that the motif is of, or a packed domain: `cath:1abcA01` is its chain A
    with residues from 1."""
    contig: Annotated[str, AfterValidator(readable_contig)]
    """Where its residues sit, such as `10-30/A14-25/5/A40-44/10-30`: a letter starts residues of a
    chain, anything else is how many new ones; each sample has a length of `lengths`. Chains and
    residues are named as in the file: `A-5-3` from −5 to 3, `H111A-112` with insertion codes in the
    file's order, `AA14`, `_14` of a chain without a name, `A1:14-16` of one with digits."""


class Generate(Config):
    """How many samples of which sizes, in shards."""

    lengths: tuple[Annotated[int, Field(ge=5, le=10_000, strict=True)], ...] = ()
    """Sizes of proteins; each gets `per_length` samples. Shorter ones can't be aligned."""
    per_length: int = Field(default=1, ge=1, le=100_000_000)
    """Samples of each size."""
    fold: tuple[FoldClass, ...] | FoldDistribution = ()
    """CATH classes asked for in turn, such as `1`, `2.60` or `3.30.70`, or where to draw them from;
    none: any fold."""
    scaffold: Scaffold | None = None
    """A motif that every sample has to hold; the model must have been trained with motifs."""
    scenes: int | None = Field(default=None, ge=1, le=100_000_000)
    """Number of LiDAR scenes, drawn from the held-out sequences; of loose scans (`data.scans`) all
    if not given."""
    shard_size: int = Field(default=64, ge=1)
    """Samples per shard, the unit that is cached and retried."""
    batch_points: int = Field(default=4096, ge=1)
    """Points sampled at a time; bounds memory."""
    formats: tuple[Literal["cif", "pcd", "bin", "png"], ...] = ()
    """Also write mmCIF; PCD, KITTI `.bin`, and pictures of scenes."""
    shard_ends: tuple[Annotated[int, Field(ge=1)], ...] = ()
    """Where shards end if not at multiples of `shard_size`; the workflow writes it into a run's
    `config.json`, so that asking for more samples changes no shard."""

    @model_validator(mode="after")
    def _shards_can_be_handled(self) -> Generate:
        if (shards := -(-self.count // self.shard_size)) > _MOST_SHARDS:
            raise ValueError(f"shard_size gives {shards} shards, more than {_MOST_SHARDS}")
        return self

    @model_validator(mode="after")
    def _shards_are_all_samples(self) -> Generate:
        ends = self.shard_ends
        if ends and (sorted(set(ends)) != list(ends) or ends[-1] != self.count):
            raise ValueError(f"shard_ends must rise to the number of samples, {self.count}")
        return self

    @property
    def count(self) -> int:
        """Samples of a set."""
        return self.scenes or len(self.lengths) * self.per_length

    @property
    def ends(self) -> tuple[int, ...]:
        """Where shards end."""
        return self.shard_ends or (*range(self.shard_size, self.count, self.shard_size), self.count)

    @property
    def shards(self) -> int:
        """Shards of a set."""
        return len(self.ends)

    def shard(self, index: int) -> range:
        """Return the sample numbers of a shard."""
        return range(self.ends[index - 1] if index else 0, self.ends[index])

    def following(self, earlier: Generate) -> Generate:
        """Return this plan with the shards of an earlier one, as far as it has their samples.

        For as many samples in shards of another size it stays as it is: that was meant.
        """
        resized = self.count == earlier.count and self.shard_size != earlier.shard_size
        if self.shard_ends or resized:
            return self
        kept = [end for end in earlier.ends if end <= self.count]
        first = kept[-1] if kept else 0
        new = [*range(first + self.shard_size, self.count, self.shard_size), self.count]
        ends = (*kept, *(new if first < self.count else []))
        return self if ends == self.ends else self.model_copy(update={"shard_ends": ends})

    def size(self, sample: int) -> int:
        """Return the size of a sample; lengths take turns, so a shard holds all of them.

        It is 0 where the model decides.
        """
        return self.lengths[sample % len(self.lengths)] if self.lengths else 0

    def fold_of(self, sample: int) -> str | None:
        """Return the class that a sample is asked to be; each length gets all of them in turn.

        None where there is none, or where it is drawn.
        """
        if not self.fold or isinstance(self.fold, FoldDistribution):
            return None
        return self.fold[sample // max(1, len(self.lengths)) % len(self.fold)]

    def asked(self, sample: int) -> tuple:
        """Return all that decides what a sample is asked to be."""
        fold: tuple = (self.fold_of(sample),) if self.fold_of(sample) else ()
        if isinstance(self.fold, FoldDistribution):
            fold = self.fold.distribution, self.fold.told
        motif = self.scaffold and (self.scaffold.structure, self.scaffold.contig)
        return (sample, self.size(sample), *fold, *(motif or ()))

    @property
    def files(self) -> list[str]:
        """Return the files that must be there before anything is sampled."""
        structure = self.scaffold.structure if self.scaffold else PACKED
        found = [] if structure.startswith(PACKED) else [structure]
        if isinstance(self.fold, FoldDistribution) and self.fold.distribution != TRAINING_DOMAINS:
            found.append(self.fold.distribution)
        return found


class Evaluate(Config):
    """What is measured."""

    most: int | None = Field(default=1000, ge=2)
    """Samples that are measured, drawn at random from a larger set; null is all of them."""
    proxy: bool = True
    """Measure the designability proxy (needs the ProteinMPNN weights)."""
    novelty_shortlist: int = Field(default=50, ge=0)
    """Training domains that each sample is aligned to; 0 is off."""
    diversity: bool = True
    """Measure pairwise similarity and clusters."""
    similarity: Literal["tmalign", "foldseek"] = "tmalign"
    """Program behind clusters and novelty: TM-align for small sets, Foldseek as published."""
    foldseek_program: str | None = None
    """Foldseek's path; the one on the PATH if not given."""
    novelty_database: str | None = None
    """Foldseek database to search for novelty, such as the PDB; training domains if not given."""
    folding_model: str | None = None
    """Folding weights (path, or hub name of ESMFold's) for real designability; off if not given."""
    folding_program: Literal["esmfold", "openfold3"] = "esmfold"
    """What folds the designed sequences; published numbers are ESMFold's."""
    fold_classifier: str | None = None
    """GearNet-Cα weights (`gearnet_ca.pth`) for FPSD, fS and fJSD; off if not given."""
    fold_references: dict[Literal["pdb", "afdb"], str] = Field(default={})
    """Reference statistics for FPSD and fJSD (`pdb_eval_ca_features.pth` and its like)."""
    transport: bool | Literal["coarse"] = True
    """Measure the earth mover's distance of scenes, and its published variant, between cells of
    0.5 m; `coarse`: between cells of 1 m, which takes seconds where that can take minutes."""
    gallery: int = Field(default=6, ge=0, le=1000)
    """Samples shown in the report."""

    @model_validator(mode="after")
    def _references_need_a_classifier(self) -> Evaluate:
        if self.fold_references and not self.fold_classifier:
            raise ValueError("fold_references are of no use without fold_classifier")
        return self

    @model_validator(mode="after")
    def _foldseek_is_chosen(self) -> Evaluate:
        if self.similarity != "foldseek" and (self.foldseek_program or self.novelty_database):
            raise ValueError("foldseek_program and novelty_database need similarity: foldseek")
        return self

    @property
    def files(self) -> list[str]:
        """Return the files that must be there before anything is measured."""
        return [
            *([f"{self.novelty_database}.dbtype"] if self.novelty_database else []),
            *([self.fold_classifier] if self.fold_classifier else []),
            *self.fold_references.values(),
        ]
