"""The contract of a scientific field: a small core, and what a field may be able to do besides.

A field subclasses ``Field`` for its denoisers, and implements the capabilities that it has. Who
needs one asks for it by ``capability``, which says in one line what the field lacks.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar, cast, runtime_checkable

from jaxtyping import Bool, Float
from torch import Tensor, nn

from domains.batch import Batch, Request, Sample
from domains.config import (
    Data,
    Distil,
    Evaluate,
    Generate,
    Pretrain,
    RunConfig,
    field_settings,
)
from domains.config.fields import load
from domains.distillation.denoiser import Denoiser
from domains.distillation.process import NoiseProcess
from domains.distillation.roles import Draws, Loss
from domains.errors import FewstepError
from domains.evaluation.statistics.measured import Measured

__all__ = [
    "Field",
    "Forgetting",
    "HeldOut",
    "Judging",
    "Pretraining",
    "Ranking",
    "RealData",
    "Recomputing",
    "Simulating",
    "Structural",
    "capability",
    "load_field",
]

D = TypeVar("D", bound=nn.Module)
D_contra = TypeVar("D_contra", bound=nn.Module, contravariant=True)
C = TypeVar("C")


class Field(ABC, Generic[D]):
    """The core of a field: read models, build requests, sample, write, measure.

    Attributes:
        name: The value of ``domain`` in a run's settings.
    """

    name: str

    @abstractmethod
    def with_data(self, data: Data) -> Field[D]:
        """Return the same field with its data where ``data`` says."""

    @abstractmethod
    def load(self, directory: Path) -> D:
        """Read the denoiser stored in canonical form: ``nn.Module`` and ``Denoiser``."""

    @abstractmethod
    def save(self, denoiser: D, directory: Path, **provenance: Any) -> None:
        """Write a denoiser in canonical form."""

    def prepare(self, source: Path, output: Path, options: Mapping[str, Any]) -> None:
        """Turn a teacher's checkpoint into the canonical form; by default it has that form."""
        self.save(self.load(source), output)

    @abstractmethod
    def process(self, denoiser: D) -> NoiseProcess:
        """Return the noise process that a denoiser was trained with."""

    @abstractmethod
    def requests(
        self, plan: Generate, numbers: Sequence[int], denoiser: D, seed: int
    ) -> list[Request | FewstepError]:
        """Build the requests of a set's samples, or the error of one that can't be made."""

    @abstractmethod
    def training_requests(self, section: Distil, denoiser: D, draws: Draws) -> list[Request]:
        """Draw the requests of one micro-batch of the student's training."""

    @abstractmethod
    def validation_requests(self, section: Distil, denoiser: D) -> list[Request]:
        """Build the requests that rank checkpoints: neither trained on nor evaluated."""

    def tuning_requests(self, plan: Generate, count: int, denoiser: D, seed: int) -> list[Request]:
        """Build the requests that rank samplers: like the plan's, with another seed."""
        found = self.requests(plan, range(count), denoiser, seed)
        return [one for one in found if isinstance(one, Request)]

    @abstractmethod
    def blank(self, requests: Sequence[Request]) -> Batch:
        """Build a batch without points: mask, origin and condition of these requests."""

    def encode(self, denoiser: D, batch: Batch) -> Batch:
        """Encode the condition once for all steps of a sampler; by default, do nothing."""
        return batch

    def unconditional(self, denoiser: Denoiser) -> Denoiser:
        """Return the denoiser without its condition, for guidance; by default there is none."""
        return denoiser

    def finish(
        self, denoiser: D, points: Float[Tensor, "n 3"], request: Request, refine: bool
    ) -> Float[Tensor, "m 3"]:
        """Crop, filter or refine sampled points before they are written."""
        if refine:
            raise FewstepError(f"{self.name} samples can't be refined", do="Remove refine")
        return points.cpu()

    @abstractmethod
    def validate(self, samples: Sequence[Sample], requests: Sequence[Request]) -> dict[str, float]:
        """Measure samples quickly; "quality" (higher is better) chooses checkpoints."""

    @abstractmethod
    def write(self, sample: Sample, directory: Path, options: Mapping[str, Any]) -> list[str]:
        """Write a sample's files; returns their names."""

    @abstractmethod
    def read(self, path: Path) -> Sample:
        """Read back a file that ``write`` has written."""

    @abstractmethod
    def evaluate(
        self, samples: Sequence[Sample], config: Evaluate, seed: int, tools: Path | None
    ) -> Measured:
        """Measure samples; ``tools`` is where fetched weights of metrics are."""

    def gallery(self, samples: Sequence[Sample]) -> dict[str, Any]:
        """Draw scenes and matrices for the report; by default none."""
        return {}


@runtime_checkable
class Pretraining(Protocol[D]):
    """Trains teachers from scratch."""

    def new(self, config: Pretrain, seed: int) -> D:
        """Build an untrained denoiser."""
        ...

    def start(self, denoiser: D, earlier: D) -> None:
        """Give a new denoiser the weights of an earlier one, of the same architecture."""
        ...

    def training_batches(self, config: Pretrain, seed: int) -> Callable[[int, Draws], Batch]:
        """Build a source of data batches by number."""
        ...

    def teacher_loss(self, denoiser: D, process: NoiseProcess, batch: Batch, draws: Draws) -> Loss:
        """Compute the field's own loss of a teacher."""
        ...


@runtime_checkable
class Validating(Protocol[D_contra]):
    """Can tell a teacher in training how it does on data that it is not trained on."""

    def held_out_error(self, denoiser: D_contra, seed: int) -> dict[str, float]:
        """Compute errors on held-out data; "quality" (higher is better) chooses checkpoints."""
        ...


@runtime_checkable
class Recomputing(Protocol[D_contra]):
    """Can trade computing for memory in a backward pass."""

    def recompute(self, denoiser: D_contra) -> None:
        """Make a denoiser keep little memory for gradients, and compute more instead."""
        ...


@runtime_checkable
class RealData(Protocol[D_contra]):
    """Has real data that objectives may see."""

    def examples(self, section: Distil, denoiser: D_contra) -> Callable[[Draws], Batch]:
        """Build a source of real data, as many as a micro-batch of the student has."""
        ...


@runtime_checkable
class Judging(Protocol):
    """Has denoisers whose features tell real samples from made ones."""

    def judge(
        self, denoiser: Any, noisy: Tensor, time: Tensor, batch: Batch
    ) -> tuple[Float[Tensor, "b n 3"], Float[Tensor, "b n"]]:
        """Return the clean estimate, and of the same call a logit of each point: real or not."""
        ...


@runtime_checkable
class Forgetting(Protocol[D_contra]):
    """Has classes that a student can unlearn."""

    def overriding(
        self, denoiser: D_contra, forget: str, instead: str | None
    ) -> Callable[[Batch], tuple[Bool[Tensor, " b"], Batch]]:
        """Build a function that flags samples of class ``forget`` and relabels them.

        Args:
            denoiser: The teacher, which knows the classes.
            forget: A class, in the field's own terms.
            instead: The teacher's label for these: another class, or None for no class.

        Raises:
            FewstepError: The teacher knows no such class.
        """
        ...


@runtime_checkable
class Ranking(Protocol):
    """Can rank samples."""

    def preference(self, kind: str, tools: Path | None) -> Callable[[Tensor, Batch], Tensor]:
        """Build a function that scores samples [b], without gradient; higher is better.

        Args:
            kind: ``quick`` is the field's own; other kinds are of one field only.
            tools: Where fetched weights are.

        Raises:
            FewstepError: The kind is not of this field, or its weights are missing.
        """
        ...


@runtime_checkable
class Comparing(Protocol):
    """Has natives to compare samples with."""

    def nearness(
        self, requests: Sequence[Request], seed: int, tools: Path | None
    ) -> Callable[[Sequence[Sample]], dict[str, float]]:
        """Build a measure of how near samples are to natives of such requests.

        Its ``quality`` is higher for nearer ones; ``tools`` is where fetched weights are.
        """
        ...


@runtime_checkable
class Structural(Protocol):
    """Has differentiable errors of a sample's structure."""

    def structure(self, points: Float[Tensor, "b n 3"], batch: Batch) -> dict[str, Tensor]:
        """Compute structural errors of samples, by name."""
        ...


@runtime_checkable
class HeldOut(Protocol):
    """Has held-out data and decoys to measure beside samples."""

    def held_out(self, plan: Generate, numbers: Sequence[int], seed: int) -> dict[int, Sample]:
        """Pick held-out data to measure beside the samples of these numbers, if any are left."""
        ...

    def decoys(self, plan: Generate, numbers: Sequence[int], seed: int) -> dict[int, Sample]:
        """Make decoys, wrong on purpose, to show what the measures can tell."""
        ...


@runtime_checkable
class Simulating(Protocol):
    """Can make its data."""

    def simulate(self, output: Path) -> None:
        """Make the data that its settings describe, in ``output``; what is there already stays."""
        ...


@runtime_checkable
class Calibrating(Protocol):
    """Can fit a teacher's calibration."""

    def calibrate(self, source: Path, output: Path, run: RunConfig) -> None:
        """Write the model ``source`` to ``output``, with a calibration fitted on training data."""
        ...


def capability(field: Field[Any], wanted: type[C], lacks: str) -> C:
    """Return the field as one that has a capability.

    Args:
        field: The field.
        wanted: The capability, one of this module's protocols.
        lacks: The end of the error's sentence: "has no structural errors".

    Raises:
        FewstepError: It has not.
    """
    if not isinstance(field, wanted):
        raise FewstepError(f"the {field.name} field {lacks}", do="Take another objective or set")
    return cast(C, field)


def load_field(name: str) -> Field[Any]:
    """Return a field by name; imports only that field.

    Raises:
        FewstepError: There is no such field, or its packages are not installed.
    """
    place = field_settings(name).implementation
    try:
        return load(place)
    except ModuleNotFoundError as error:
        raise FewstepError(
            f"the {name} field needs the package {error.name}",
            do=f"Install it: pip install 'fewstep[{name}]'",
        ) from error
