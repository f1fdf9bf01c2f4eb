"""Random numbers that depend on names, not on history: exact resume, any batch, any shard."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from domains.distillation.sampling.schedule import log_time

__all__ = ["KeyedNoise", "NoiseSource", "SampleNoise", "TimeDistribution", "generator"]


def generator(*key: int | str) -> torch.Generator:
    """Return a CPU generator seeded by a key such as (seed, step, rank, "student")."""
    digest = hashlib.sha256(repr(key).encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "little") >> 1)


@runtime_checkable
class NoiseSource(Protocol):
    """Anything that gives standard normal points, one draw per call."""

    def __call__(self, shape: tuple[int, int, int]) -> Float[Tensor, "b n 3"]:
        """Return the next draw."""
        ...


@dataclass(frozen=True)
class KeyedNoise:
    """Draws from one generator, made on the CPU so that devices agree."""

    source: torch.Generator
    device: torch.device | str = "cpu"

    def __call__(self, shape: tuple[int, int, int]) -> Float[Tensor, "b n 3"]:
        """Return the next draw."""
        return torch.randn(shape, generator=self.source).to(self.device)


@dataclass(frozen=True)
class SampleNoise:
    """One generator per sample: a sample's noise does not depend on its batch or padding."""

    sources: Sequence[torch.Generator]
    sizes: Sequence[int]
    device: torch.device | str = "cpu"

    def __call__(self, shape: tuple[int, int, int]) -> Float[Tensor, "b n 3"]:
        """Return the next draw of every sample, zero at padding."""
        noise = torch.zeros(shape)
        for row, (source, size) in enumerate(zip(self.sources, self.sizes, strict=True)):
            noise[row, :size] = torch.randn(size, 3, generator=source)
        return noise.to(self.device)


@dataclass(frozen=True)
class TimeDistribution:
    """Where training times are drawn.

    Attributes:
        kind: "beta" mixes Beta(1.9, 1.0) with 2 % uniform (Proteina); "log_grid" is uniform
            over SiD's 401 log-spaced positions; "uniform" is what it says (LiDiff).
        low, high: Bounds that times are clamped to.
    """

    kind: Literal["beta", "log_grid", "uniform"]
    low: float = 0.0
    high: float = 1.0

    def sample(self, count: int, source: torch.Generator) -> Float[Tensor, " b"]:
        """Draw ``count`` times."""
        if self.kind == "log_grid":
            times = log_time(torch.randint(0, 401, (count,), generator=source))
        elif self.kind == "uniform":
            times = torch.rand(count, generator=source)
        else:
            # Beta(a, 1) has the distribution function u^a.
            beta = torch.rand(count, generator=source) ** (1 / 1.9)
            uniform = torch.rand(count, generator=source)
            times = torch.where(torch.rand(count, generator=source) < 0.02, uniform, beta)
        return times.clamp(self.low, self.high)

    def squeezed(self, times: Float[Tensor, " b"], low: float, high: float) -> Float[Tensor, " b"]:
        """Return draws moved, in their order, to the part of the bounds in [low, high]."""
        low, high = (min(max(bound, self.low), self.high) for bound in (low, high))
        width = self.high - self.low
        return low + (times - self.low) * ((high - low) / width if width else 0.0)
