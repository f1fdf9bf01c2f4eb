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
    from domains.config import Evaluate, Pretrain
    from domains.distillation.process import NoiseProcess
    from domains.distillation.roles import Draws, Loss
    from domains.evaluation.measured import Measured
    from domains.evaluation.sets import Metric

__all__ = ["DOMAINS", "Batch", "Domain", "Sample", "load_domain"]

# Where each field's ``DOMAIN`` is found; imported only when it is used.
DOMAINS = {"protein": "domains.protein.domain"}


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

    def blank(self, sizes: Sequence[int], conditions: Sequence[Mapping[str, Any]] = ()) -> Batch:
        """Return a batch to sample into: sizes and, if given, conditions."""
        ...

    def validate(self, samples: Sequence[Sample]) -> dict[str, float]:
        """Return quick measures of samples; "quality" (higher is better) chooses checkpoints."""
        ...

    def write(self, sample: Sample, directory: Path, options: Mapping[str, Any]) -> list[str]:
        """Write a sample's files; returns their names."""
        ...

    def read(self, path: Path) -> Sample:
        """Read back a file that ``write`` has written."""
        ...

    def held_out(self, sizes: Sequence[int], seed: int) -> list[Sample]:
        """Return held-out data of about these sizes, to measure beside the samples."""
        ...

    def decoys(self, sizes: Sequence[int], seed: int) -> list[Sample]:
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
