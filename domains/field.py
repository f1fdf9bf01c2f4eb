"""The contract of a scientific field; what it may do besides is in ``domains.capabilities``."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Generic, TypeVar

from jaxtyping import Float
from torch import Tensor, nn

from domains.batch import Batch, Request, Sample
from domains.config import Data, Distil, Evaluate, Generate, field_settings
from domains.config.fields import load
from domains.distillation.denoiser import Denoiser
from domains.distillation.process import NoiseProcess
from domains.distillation.roles import Draws
from domains.errors import FewstepError
from domains.evaluation.statistics.measured import Measured

__all__ = ["Field", "load_field"]

D = TypeVar("D", bound=nn.Module)


class Field(ABC, Generic[D]):
    """The core of a field: read models, build requests, sample, write, measure.

    Attributes:
        name: The value of ``domain`` in a run's settings.
        refining_calls: Network calls that refining a sample takes.
    """

    name: str
    refining_calls: int = 0

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
