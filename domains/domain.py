"""All that the engine may know of a scientific field."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from domains.errors import FewstepError

if TYPE_CHECKING:
    from domains.config import Data, Distil, Evaluate, Generate, Pretrain
    from domains.config.preferences import Ranking
    from domains.distillation.denoiser import Denoiser
    from domains.distillation.process import NoiseProcess
    from domains.distillation.roles import Draws, Loss
    from domains.evaluation.statistics.measured import Measured
    from domains.evaluation.statistics.sets import Metric

__all__ = ["DOMAINS", "Batch", "Domain", "Request", "Sample", "load_domain", "load_metrics"]

# Where each field's ``DOMAIN`` is found; imported only when it is used.
DOMAINS = {"protein": "domains.protein.field", "lidar": "domains.lidar.field"}


@dataclass(frozen=True)
class Batch:
    """What a denoiser is told beside the noisy points; ``points`` is None when data-free."""

    mask: Bool[Tensor, "b n"]
    points: Float[Tensor, "b n 3"] | None = None
    origin: Float[Tensor, "b n 3"] | None = None
    condition: Mapping[str, Any] = field(default_factory=dict)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape of the point sets, (b, n, 3)."""
        b, n = self.mask.shape
        return b, n, 3

    @property
    def sizes(self) -> Float[Tensor, " b"]:
        """Number of real points of each sample, at least 1."""
        return self.mask.sum(-1).clamp(min=1).float()

    def repeated(self, times: int) -> Batch:
        """Return the batch so many times after each other, without its points.

        A condition that is neither a tensor nor a list has a method ``repeated(times, samples)``.
        """

        def repeat(value: Any) -> Any:
            if isinstance(value, Tensor):
                return value.repeat(times, *[1] * (value.ndim - 1))
            if isinstance(value, list):
                return value * times
            return value.repeated(times, len(self.mask))

        return Batch(
            mask=repeat(self.mask),
            origin=None if self.origin is None else repeat(self.origin),
            condition={key: repeat(value) for key, value in self.condition.items()},
        )

    def to(self, device: torch.device | str) -> Batch:
        """Return the batch on ``device``."""

        def move(value: Any) -> Any:
            return value.to(device) if isinstance(value, Tensor) else value

        return replace(
            self,
            mask=move(self.mask),
            points=move(self.points),
            origin=move(self.origin),
            condition={key: move(value) for key, value in self.condition.items()},
        )


@dataclass(frozen=True)
class Request:
    """What one sample is asked to be.

    Attributes:
        name: Stem of the sample's file.
        size: Number of points.
        condition: What the denoiser is told, in the field's own terms.
        origin: Points that the noise is added to, where it is not the centre [n, 3].
        truth: What a perfect sample is near to, where that is known [m, 3].
    """

    name: str
    size: int
    condition: Mapping[str, Any] = field(default_factory=dict)
    origin: Float[Tensor, "n 3"] | None = None
    truth: Float[Tensor, "m 3"] | None = None


@dataclass(frozen=True)
class Sample:
    """One generated object.

    Attributes:
        name: Its file's stem.
        points: Coordinates in the field's unit [n, 3].
        condition: What it was asked to be.
    """

    name: str
    points: Float[Tensor, "n 3"]
    condition: Mapping[str, Any] = field(default_factory=dict)


@runtime_checkable
class Domain(Protocol):
    """All that stages and engine may know of a field."""

    name: str
    metrics: Mapping[str, Metric]

    def with_data(self, data: Data) -> Domain:
        """Return this field with its data where ``data`` says."""
        ...

    def prepare(self, source: Path, output: Path, options: Mapping[str, Any]) -> None:
        """Turn a teacher's checkpoint into the canonical form in ``output``."""
        ...

    def load(self, directory: Path) -> nn.Module:
        """Return the denoiser stored in canonical form; ``nn.Module`` and ``Denoiser``."""
        ...

    def save(self, denoiser: nn.Module, directory: Path, **provenance: Any) -> None:
        """Write a denoiser in canonical form."""
        ...

    def new(self, config: Pretrain, seed: int) -> nn.Module:
        """Return an untrained denoiser."""
        ...

    def recompute(self, denoiser: nn.Module) -> None:
        """Make a denoiser keep little memory for gradients, and compute more instead."""
        ...

    def start(self, denoiser: nn.Module, begun: nn.Module) -> None:
        """Give a new denoiser the weights of an earlier one, of the same architecture."""
        ...

    def process(self, denoiser: nn.Module) -> NoiseProcess:
        """Return the noise process that a denoiser was trained with."""
        ...

    def training_batches(self, config: Pretrain, seed: int) -> Callable[[int, Draws], Batch]:
        """Return data batches by number."""
        ...

    def teacher_loss(
        self, denoiser: nn.Module, process: NoiseProcess, batch: Batch, draws: Draws
    ) -> Loss:
        """Return the field's own loss for training a teacher."""
        ...

    def requests(
        self, plan: Generate, numbers: Sequence[int], denoiser: nn.Module, seed: int
    ) -> list[Request | FewstepError]:
        """Return what the samples of these numbers are to be, or why one can't be."""
        ...

    def training_requests(
        self, section: Distil, denoiser: nn.Module, draws: Draws
    ) -> list[Request]:
        """Return what the student is trained on: one micro-batch."""
        ...

    def examples(self, section: Distil, denoiser: nn.Module) -> Callable[[Draws], Batch]:
        """Return what draws real data, as many as a micro-batch of the student has."""
        ...

    def judge(
        self, denoiser: Denoiser, noisy: Tensor, time: Tensor, batch: Batch
    ) -> tuple[Float[Tensor, "b n 3"], Float[Tensor, "b n"]]:
        """Return the clean estimate, and of the same call how real each point looks: a logit."""
        ...

    def overriding(
        self, denoiser: nn.Module, forget: str, instead: str | None
    ) -> Callable[[Batch], tuple[Bool[Tensor, " b"], Batch]]:
        """Return what finds samples of a class, and tells the teacher another for these.

        Args:
            denoiser: The teacher.
            forget: A class, in the field's own terms.
            instead: Another, or None for no class.

        Raises:
            FewstepError: The field has no classes, or the teacher knows no such one.
        """
        ...

    def validation_requests(self, section: Distil, denoiser: nn.Module) -> list[Request]:
        """Return what checkpoints are compared on: neither trained on nor evaluated."""
        ...

    def tuning_requests(
        self, plan: Generate, count: int, denoiser: nn.Module, seed: int
    ) -> list[Request]:
        """Return what samplers are compared on: like those of the plan, but not evaluated."""
        ...

    def blank(self, requests: Sequence[Request]) -> Batch:
        """Return a batch to sample into."""
        ...

    def encode(self, denoiser: nn.Module, batch: Batch) -> Batch:
        """Return the batch with all that is the same at every step of a sampler."""
        ...

    def unconditional(self, denoiser: Denoiser) -> Denoiser:
        """Return the denoiser without its condition, for guidance."""
        ...

    def finish(
        self, denoiser: nn.Module, points: Tensor, request: Request, refine: bool
    ) -> Float[Tensor, "m 3"]:
        """Return a sample as it is written: cropped, refined."""
        ...

    def preference(
        self, kind: Ranking = "quick", tools: Path | None = None
    ) -> Callable[[Tensor, Batch], Tensor]:
        """Return what says how good each sample is, without gradient; higher is better.

        Args:
            kind: ``quick`` is the field's own; other kinds are of one field only.
            tools: Where fetched weights are.

        Raises:
            FewstepError: The kind is not of this field, or its weights are missing.
        """
        ...

    def structure(self, points: Float[Tensor, "b n 3"], batch: Batch) -> dict[str, Tensor]:
        """Return differentiable structural errors of samples, by name."""
        ...

    def validate(self, samples: Sequence[Sample], requests: Sequence[Request]) -> dict[str, float]:
        """Return quick measures of samples; "quality" (higher is better) chooses checkpoints."""
        ...

    def write(self, sample: Sample, directory: Path, options: Mapping[str, Any]) -> list[str]:
        """Write a sample's files; returns their names."""
        ...

    def read(self, path: Path) -> Sample:
        """Read back a file that ``write`` has written."""
        ...

    def held_out(self, plan: Generate, numbers: Sequence[int], seed: int) -> dict[int, Sample]:
        """Return held-out data to measure beside the samples of these numbers, if any are left."""
        ...

    def decoys(self, plan: Generate, numbers: Sequence[int], seed: int) -> dict[int, Sample]:
        """Return objects that are wrong on purpose, to show what the measures can tell."""
        ...

    def evaluate(
        self, samples: Sequence[Sample], config: Evaluate, seed: int, tools: Path | None
    ) -> Measured:
        """Measure samples; ``tools`` is where fetched weights of metrics are."""
        ...

    def gallery(self, samples: Sequence[Sample]) -> dict[str, Any]:
        """Return scenes and matrices for the report."""
        ...


def load_domain(name: str) -> Domain:
    """Return a field by name; imports only that field.

    Raises:
        FewstepError: There is no such field, or its packages are not installed.
    """
    if name not in DOMAINS:
        raise FewstepError("unknown domain", expected=" or ".join(DOMAINS), got=repr(name))
    try:
        return import_module(DOMAINS[name]).DOMAIN
    except ModuleNotFoundError as error:
        raise FewstepError(
            f"the {name} domain needs the package {error.name}",
            do=f"Install it: pip install 'fewstep[{name}]'",
        ) from error


def load_metrics(name: str) -> Mapping[str, Metric]:
    """Return what a field says of its measures; its packages need not be there."""
    return import_module(f"{DOMAINS[name].rpartition('.')[0]}.metric_texts").METRICS
