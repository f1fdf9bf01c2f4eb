"""Which samples are other than all that were kept: greedy, in the order that they come."""

import math

import numpy as np
from jaxtyping import Float

from domains.batch import Sample
from domains.protein.metrics.folds.fold_screen import FoldScreen
from domains.protein.metrics.similarity.tm_align import engine, tm_align
from domains.protein.screening.settings import DistinctGate, ProteinScreen

__all__ = ["GreedyDistinct"]

_BLOCK = 64  # chains whose contact maps are compared at once


class GreedyDistinct:
    """Kept chains, and a search among them (see ``Distinct``).

    A sample is aligned to the kept ones whose contact maps are most like its own, the most
    similar first, until one is the same. Of those whose length alone keeps the mean score below
    the threshold none is: a score by the longer length is at most the ratio of the two.

    Args:
        settings: When two samples count as one, and how many are aligned.
    """

    def __init__(self, settings: DistinctGate):
        self.settings = settings
        self._kept: list[np.ndarray] = []
        self._blocks: list[FoldScreen] = []

    @classmethod
    def of(cls, screen: ProteinScreen | None) -> "GreedyDistinct | None":
        """Return the gate that the settings of a screen ask for, if they do."""
        return cls(screen.distinct) if screen and screen.distinct else None

    @property
    def tool(self) -> str:
        """Program and settings."""
        listed = f"shortlist of {self.settings.shortlist}" if self.settings.shortlist else "all"
        return f"{engine()}, mean of both scores, {listed} of the kept"

    def is_same(self, likeness: float) -> bool:
        """Return whether a TM-score is above the threshold."""
        return likeness > self.settings.tm

    def keep(self, sample: Sample) -> None:
        """Add a chain to those kept."""
        self._kept.append(sample.points.numpy().astype(np.float64))
        if len(self._kept) % _BLOCK == 0:
            self._blocks.append(FoldScreen(self._kept[-_BLOCK:]))

    def nearest(self, sample: Sample) -> tuple[float, int]:
        """Return the highest TM-score found and whose it is; (NaN, -1) if none was aligned."""
        points = sample.points.numpy().astype(np.float64)
        best, place = math.nan, -1
        for k in self._likely(points):
            score = tm_align(points, self._kept[k], normalise="mean")
            if not score <= best:
                best, place = score, k
            if self.is_same(score):
                break
        return best, place

    def _likely(self, points: Float[np.ndarray, "n 3"]) -> list[int]:
        """Return the kept chains that may be the same, those of the most similar maps first."""
        if not self._kept:
            return []
        lengths = np.array([len(chain) for chain in self._kept])
        ratio = np.minimum(lengths, len(points)) / np.maximum(lengths, len(points))
        rest = self._kept[_BLOCK * len(self._blocks) :]
        screens = [*self._blocks, *([FoldScreen(rest)] if rest else [])]
        overlaps = np.concatenate([screen.overlaps(points) for screen in screens])
        order = np.argsort(-overlaps, kind="stable")
        possible = [int(k) for k in order if (1 + ratio[k]) / 2 > self.settings.tm]
        return possible[: self.settings.shortlist or None]
