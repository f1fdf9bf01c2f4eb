"""The gates of a screen: each lets a sample pass by measures that it states."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from domains.batch import Sample

__all__ = ["Design", "Distinct", "Gate", "Verdict"]


@dataclass(frozen=True)
class Design:
    """A sequence that was designed for a sample, and how good it is.

    Args:
        sequence: In one-letter code.
        score: What the gate ranks it by, in the gate's own unit; lower is better.
    """

    sequence: str
    score: float


@dataclass(frozen=True)
class Verdict:
    """What a gate says of a sample.

    Args:
        measures: What it measured, by column; NaN where a measure is not defined.
        failed: The first measure that is out of its bounds; empty: the sample passes.
        designs: Sequences that were designed on the way, best first.
    """

    measures: Mapping[str, float]
    failed: str = ""
    designs: Sequence[Design] = field(default=())


@runtime_checkable
class Gate(Protocol):
    """Judges samples one by one, each by itself: so the order and the shards do not matter."""

    @property
    def name(self) -> str:
        """Short name, a part of columns' names."""
        ...

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of all measures that its verdicts may hold."""
        ...

    @property
    def tool(self) -> str:
        """Programs and versions behind the measures."""
        ...

    def judge(self, sample: Sample) -> Verdict:
        """Measure a sample, and say whether it passes."""
        ...


@runtime_checkable
class Distinct(Protocol):
    """Tells whether a sample is another than all that were kept before; holds those in memory."""

    @property
    def tool(self) -> str:
        """Programs and versions behind the comparison."""
        ...

    def nearest(self, sample: Sample) -> tuple[float, int]:
        """Return how alike the sample is to a kept one that is alike, and which in their order.

        The search may end at the first that is too alike; (NaN, -1) where there is none yet.
        """
        ...

    def is_same(self, likeness: float) -> bool:
        """Return whether two samples so alike count as one."""
        ...

    def keep(self, sample: Sample) -> None:
        """Add a sample to the kept ones."""
        ...
