"""What the engine and the fields hand to each other: batches, requests and samples."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from jaxtyping import Bool, Float, Int

from domains.device import sent
from domains.lazy import torch

__all__ = ["Batch", "Request", "Sample", "picked"]


@dataclass(frozen=True)
class Batch:
    """What a denoiser is told beside the noisy points.

    Attributes:
        mask: Real points; the rest is padding.
        points: Clean data; None where there are none.
        origin: Points that the noise is added to; None: the centre.
        condition: What the field tells besides, by names that its own ``TypedDict`` types
            (``protein.conditions.told``, ``lidar.conditions``): tensors, lists with one entry a
            sample, or objects with the methods ``to`` and ``repeated``.
    """

    mask: Bool[torch.Tensor, "b n"]
    points: Float[torch.Tensor, "b n 3"] | None = None
    origin: Float[torch.Tensor, "b n 3"] | None = None
    condition: Mapping[str, Any] = field(default_factory=dict)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape of the point sets, (b, n, 3)."""
        b, n = self.mask.shape
        return b, n, 3

    @property
    def sizes(self) -> Float[torch.Tensor, " b"]:
        """Number of real points of each sample, at least 1."""
        return self.mask.sum(-1).clamp(min=1).float()

    def repeated(self, times: int) -> Batch:
        """Return the batch so many times after each other, without its points.

        A condition that is neither a tensor nor a list has a method ``repeated(times, samples)``.
        """

        def repeat(value: Any) -> Any:
            if isinstance(value, torch.Tensor):
                return value.repeat(times, *[1] * (value.ndim - 1))
            if isinstance(value, list):
                return value * times
            return value.repeated(times, len(self.mask))

        return Batch(
            mask=repeat(self.mask),
            origin=None if self.origin is None else repeat(self.origin),
            condition={key: repeat(value) for key, value in self.condition.items()},
        )

    def rows(self, chosen: Int[torch.Tensor, " k"]) -> Batch:
        """Return the samples of these numbers, as a batch.

        A condition that is neither a tensor nor a list has a method ``rows(chosen)``.
        """

        def pick(value: Any) -> Any:
            if isinstance(value, list):
                return [value[number] for number in chosen.tolist()]
            return value[chosen] if isinstance(value, torch.Tensor) else value.rows(chosen)

        return replace(
            self,
            mask=self.mask[chosen],
            points=None if self.points is None else self.points[chosen],
            origin=None if self.origin is None else self.origin[chosen],
            condition={key: pick(value) for key, value in self.condition.items()},
        )

    def to(self, device: torch.device | str) -> Batch:
        """Move the batch to ``device``, with all of its condition."""

        def move(value: Any) -> Any:
            if isinstance(value, torch.Tensor):
                return sent(value, device)
            return value.to(device) if hasattr(value, "to") else value

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
    origin: Float[torch.Tensor, "n 3"] | None = None
    truth: Float[torch.Tensor, "m 3"] | None = None


@dataclass(frozen=True)
class Sample:
    """One generated object.

    Attributes:
        name: Its file's stem.
        points: Coordinates in the field's unit [n, 3].
        condition: What it was asked to be.
    """

    name: str
    points: Float[torch.Tensor, "n 3"]
    condition: Mapping[str, Any] = field(default_factory=dict)


def picked(samples: Mapping[int, Sample], numbers: Iterable[int]) -> dict[int, Sample]:
    """Return the samples of these numbers, as far as there are any."""
    return {number: samples[number] for number in numbers if number in samples}
