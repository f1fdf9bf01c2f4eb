"""Random numbers that depend on names, not on history: exact resume, any batch, any shard."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from jaxtyping import Float

from domains.device import sent
from domains.lazy import torch

__all__ = ["KeyedNoise", "NoiseSource", "SampleNoise", "generator"]


def generator(*key: int | str) -> torch.Generator:
    """Return a CPU generator seeded by a key such as (seed, step, rank, "student")."""
    digest = hashlib.sha256(repr(key).encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "little") >> 1)


@runtime_checkable
class NoiseSource(Protocol):
    """Anything that gives standard normal points, one draw per call."""

    def __call__(self, shape: tuple[int, int, int]) -> Float[torch.Tensor, "b n 3"]:
        """Return the next draw."""
        ...


@dataclass(frozen=True)
class KeyedNoise:
    """Draws from one generator, made on the CPU so that devices agree."""

    source: torch.Generator
    device: torch.device | str = "cpu"

    def __call__(self, shape: tuple[int, int, int]) -> Float[torch.Tensor, "b n 3"]:
        """Return the next draw."""
        return sent(torch.randn(shape, generator=self.source), self.device)


@dataclass(frozen=True)
class SampleNoise:
    """One generator per sample: a sample's noise does not depend on its batch or padding."""

    sources: Sequence[torch.Generator]
    sizes: Sequence[int]
    device: torch.device | str = "cpu"

    def __call__(self, shape: tuple[int, int, int]) -> Float[torch.Tensor, "b n 3"]:
        """Return the next draw of every sample, zero at padding."""
        noise = torch.zeros(shape)
        for row, (source, size) in enumerate(zip(self.sources, self.sizes, strict=True)):
            noise[row, :size] = torch.randn(size, 3, generator=source)
        return sent(noise, self.device)
