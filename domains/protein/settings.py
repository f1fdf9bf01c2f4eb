"""Settings of the protein field: data, samples, measures, and what its runs may ask for."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from domains.config.fields import FieldSettings
from domains.config.run import RunConfig
from domains.config.sections import Data, Generate
from domains.config.training import Distil, Pretrain
from domains.errors import FewstepError
from domains.protein.conditions.settings import (
    PACKED,
    TRAINING_DOMAINS,
    FoldDistribution,
    Scaffold,
    Told,
)
from domains.protein.evaluate_settings import ProteinEvaluate
from domains.protein.screening.settings import ProteinScreen
from domains.settings import Config, FoldClass, Name

__all__ = [
    "FOLD_REFERENCES",
    "PACKED",
    "SETTINGS",
    "TRAINING_DOMAINS",
    "FoldDistribution",
    "Lengths",
    "ProteinData",
    "ProteinDistil",
    "ProteinEvaluate",
    "ProteinGenerate",
    "ProteinPretrain",
    "ProteinRun",
    "Scaffold",
    "Told",
]

_ASSETS = Path(__file__).parent / "assets"
_BUNDLED = "proteina-small", "proteina-small-8", "proteina-small-16"
# Sets of structures that the paper of Proteina compares folds with.
FOLD_REFERENCES = ("pdb", "afdb")


class Lengths(Config):
    """Sizes of samples: uniform integers in [low, high]."""

    low: int = Field(default=40, ge=1, le=10_000)
    """Smallest."""
    high: int = Field(default=80, ge=1, le=10_000)
    """Largest, not below `low`."""
    block: int | None = Field(default=None, ge=1, le=10_000)
    """Draw all sizes of a micro-batch from one block of so many neighbouring sizes, drawn in
    proportion, so that less is padding; none: from all (distillation only)."""

    @model_validator(mode="after")
    def _ordered(self) -> Lengths:
        if self.low > self.high:
            raise ValueError(f"low {self.low} must not exceed high {self.high}")
        return self

    def block_at(self, size: int) -> tuple[int, int]:
        """Return the smallest and largest size of the block that ``size`` is in."""
        if self.block is None:
            return self.low, self.high
        start = size - (size - self.low) % self.block
        return start, min(start + self.block - 1, self.high)


class ProteinData(Data):
    """Packed protein domains."""

    path: str | None = None
    """File of packed domains (.npz); none: the CATH domains of the package. Training, held-out
    natives, decoys, novelty, fold classes and all distances to natives are of these."""


class ProteinPretrain(Pretrain):
    """A Proteina network trained from scratch."""

    lengths: Lengths = Lengths()
    """Which domains are used."""
    residues_per_batch: int = Field(default=1000, ge=16, le=10_000_000)
    """Most residues per micro-batch."""


class ProteinDistil(Distil):
    """A student of a Proteina teacher: objective, roll-out, optimisers, fit."""

    lengths: Lengths = Lengths()
    """Sizes of the samples it trains on."""
    fold: Told | None = None
    """Tell nine samples of ten a fold class, that of a training domain of their length, down to
    this level of CATH; or four numbers, the shares of samples that are told nothing, C, C and A,
    and all of C, A, T; none: never. The teacher must know fold classes."""

    @property
    def told_levels(self) -> str:
        """The finest level of CATH that any sample is told; empty if none is."""
        if self.fold is None or isinstance(self.fold, str):
            return self.fold or ""
        told = [level for level, share in zip("CAT", self.fold[1:], strict=True) if share]
        return told[-1] if told else ""


class ProteinGenerate(Generate):
    """How many chains of which lengths, in shards."""

    lengths: tuple[Annotated[int, Field(ge=5, le=10_000, strict=True)], ...] = Field(min_length=1)
    """Lengths of chains; each gets `per_length` samples. Shorter ones can't be aligned."""
    per_length: int = Field(default=1, ge=1, le=100_000_000)
    """Samples of each size."""
    fold: tuple[FoldClass, ...] | FoldDistribution = ()
    """CATH classes asked for in turn, such as `1`, `2.60` or `3.30.70`, or where to draw them from;
    none: any fold."""
    scaffold: Scaffold | None = None
    """A motif that every sample has to hold; the model must have been trained with motifs."""
    formats: tuple[Literal["cif", "backbone"], ...] = ()
    """Also write mmCIF; or, with N, C and O rebuilt around the Cα by PULCHRA (extra `backbone`),
    `backbone/NAME.pdb`, as programs for whole backbones expect it."""

    @property
    def count(self) -> int:
        """Number of samples of a set."""
        return len(self.lengths) * self.per_length

    def size(self, sample: int) -> int:
        """Return the length of a sample; lengths take turns, so a shard holds all of them."""
        return self.lengths[sample % len(self.lengths)]

    def fold_of(self, sample: int) -> str | None:
        """Return the fold class requested of a sample; each length gets all of them in turn.

        None where there is none, or where it is drawn.
        """
        if not self.fold or isinstance(self.fold, FoldDistribution):
            return None
        return self.fold[sample // max(1, len(self.lengths)) % len(self.fold)]

    def request_key(self, sample: int) -> tuple[object, ...]:
        """Return all settings that decide a sample's request; a change samples it anew."""
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


class ProteinRun(RunConfig):
    """A run with proteins."""

    samplers: ClassVar[tuple[str, ...]] = ("renoise", "sde", "ode", "tuned")
    reads: ClassVar[tuple[str, ...]] = (".pdb", ".ent", ".cif", ".mmcif")
    abilities: ClassVar[frozenset[str]] = frozenset(
        {"autoguidance", "chains", "layers", "natives", "refine", "screen", "self_conditioning"}
    )

    domain: Literal["protein"]
    """Scientific field."""
    data: ProteinData = ProteinData()
    """Where its data are; those of the package if not given."""
    pretrain: ProteinPretrain | None = None
    """How, with `teacher: pretrain`."""
    students: dict[Name, ProteinDistil] = Field(default_factory=dict)
    """Students by name."""
    generate: ProteinGenerate
    """How many samples of which sizes."""
    evaluate: ProteinEvaluate = ProteinEvaluate()
    """What is measured."""
    screen: ProteinScreen | None = None
    """Gates that the samples have to pass, and which sets are sent through them; none if not
    given."""

    @model_validator(mode="after")
    def _folds_are_there(self) -> ProteinRun:
        gate = self.screen.design if self.screen else None
        if gate and gate.judge == "folding" and not self.evaluate.folding_model:
            raise ValueError("screen.design.judge: folding needs evaluate.folding_model")
        return self

    @property
    def reference_sizes(self) -> tuple[int, int]:
        """Sizes of the shortest and longest chain: training domains of these are described."""
        return min(self.generate.lengths), max(self.generate.lengths)

    @property
    def needs_tools(self) -> bool:
        """Whether a measure or a gate needs weights that have to be fetched."""
        designs = self.screen is not None and self.screen.needs_tools
        return self.evaluate.proxy or self.evaluate.folding_model is not None or designs


def check_programs(run: RunConfig) -> None:
    """Find out whether the programs that the evaluation calls can be used.

    Raises:
        FewstepError: One can't.
    """
    assert isinstance(run, ProteinRun)
    try:
        from domains.protein.metrics.similarity.foldseek import chosen
    except ModuleNotFoundError as error:
        raise FewstepError(
            f"the protein field needs the package {error.name}",
            do="Install it: pip install 'fewstep[protein]'",
        ) from error
    chosen(run.evaluate)
    if "backbone" in run.generate.formats:
        from domains.protein.files.backbone import require_pulchra

        require_pulchra()


SETTINGS = FieldSettings(
    name="protein",
    run=ProteinRun,
    implementation="domains.protein.field:FIELD",
    metrics="domains.protein.metric_texts:METRICS",
    bundled={name: _ASSETS / name for name in _BUNDLED},
    published=_ASSETS / "published.yaml",
    made=("chain made", "chains made"),
    check=check_programs,
)
