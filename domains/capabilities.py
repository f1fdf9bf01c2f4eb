"""What a scientific field may be able to do beside its core: one protocol for each ability.

A field has a capability by having its methods. Who needs one asks for it by ``capability``, which
says in one line what the field lacks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar, cast, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float
from torch import Tensor, nn

from domains.batch import Batch, Request, Sample
from domains.config import Distil, Generate, Pretrain, RunConfig
from domains.distillation.process import NoiseProcess
from domains.distillation.roles import Draws, Loss
from domains.errors import FewstepError
from domains.evaluation.screening.gate import Distinct, Gate
from domains.field import Field

__all__ = [
    "Adopting",
    "Calibrating",
    "Comparing",
    "Completing",
    "Describing",
    "Drawing",
    "Forgetting",
    "HeldOut",
    "Judging",
    "Pretraining",
    "Ranking",
    "RealData",
    "Recomputing",
    "Screening",
    "Shrinking",
    "Simulating",
    "Structural",
    "Validating",
    "capability",
]

D = TypeVar("D", bound=nn.Module)
D_contra = TypeVar("D_contra", bound=nn.Module, contravariant=True)
C = TypeVar("C")


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

    def held_out_error(self, config: Pretrain, seed: int) -> Callable[[D_contra], dict[str, float]]:
        """Build a measure of held-out data; "quality" (higher is better) chooses checkpoints."""
        ...


@runtime_checkable
class Recomputing(Protocol[D_contra]):
    """Can trade computing for memory in a backward pass."""

    def recompute(self, denoiser: D_contra) -> None:
        """Make a denoiser keep little memory for gradients, and compute more instead."""
        ...


@runtime_checkable
class Shrinking(Protocol[D]):
    """Has networks of layers that a student can do without."""

    def shrink(self, denoiser: D, layers: int) -> D:
        """Return a denoiser of so many of another's layers, with their weights."""
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
    """Has classes that a student can unlearn, and that teachers can be experts of."""

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
class Describing(Protocol):
    """Describes what the samples of all sets are compared with, once for all of them."""

    def describe(self, output: Path, smallest: int, largest: int) -> None:
        """Write, as JSON with ``made_of`` first, what is known of structures of these sizes."""
        ...

    def with_described(self, path: Path) -> Field[Any]:
        """Return the field with such a file; what it lacks is described when it is needed."""
        ...


@runtime_checkable
class Adopting(Protocol):
    """Reads samples that other programs have made."""

    def adopt(self, path: Path, chain: str | None) -> Sample:
        """Read one file as a sample.

        Args:
            path: The file.
            chain: Which of its parts is the sample; None: it has one only.

        Raises:
            FewstepError: It can't be read, or is nothing that could be measured.
        """
        ...


@runtime_checkable
class Screening(Protocol):
    """Has gates that samples must pass to be kept."""

    def gates(self, run: Any, tools: Path | None) -> list[Gate]:
        """Return the gates that judge samples by themselves, in their order.

        Args:
            run: Settings of the run, of this field.
            tools: Directory of fetched tools; None: the usual places.
        """
        ...

    def distinct(self, run: Any) -> Distinct | None:
        """Return the gate that compares a sample with those kept before, if there is one."""
        ...


@runtime_checkable
class Completing(Protocol[D_contra]):
    """Completes what a user has in memory."""

    def request_of(
        self, name: str, points: Float[np.ndarray, "n 3"], denoiser: D_contra
    ) -> Request:
        """Return the request to complete these points.

        Raises:
            FewstepError: They can't be completed.
        """
        ...


@runtime_checkable
class Drawing(Protocol):
    """Can draw samples."""

    def draw(self, samples: Sequence[Sample], path: Path) -> None:
        """Write one picture (PNG) of all samples."""
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
