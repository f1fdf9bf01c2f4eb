"""What a screen's gates let pass and what they cost: counted row by row, never held."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["DISTINCT", "Funnel"]

DISTINCT = "distinct"
_MOST_POINTS = 64  # of the curve; twice as many are thinned
_HOUR = 3600.0


class Funnel:
    """Counts of a set's samples at each gate, and seconds.

    Args:
        gates: Names of the gates in their order; that of distinctness last, if there is one.
    """

    def __init__(self, gates: Sequence[str]):
        self.gates = list(gates)
        self.samples = self.kept = 0
        self.sampling = 0.0
        self.seen: Counter[str] = Counter()
        self.seconds = dict.fromkeys(gates, 0.0)
        self.failed: dict[str, Counter[str]] = {name: Counter() for name in gates}
        self._curve: list[tuple[int, float, int]] = []
        self._stride = 1

    def add(self, row: Mapping[str, str]) -> None:
        """Count a row of a sifted table: how far the sample came, and at what cost."""
        self.samples += 1
        self.sampling += float(row["sampling_seconds"])
        for name in self.gates:
            if name == DISTINCT:
                break
            self.seen[name] += 1
            self.seconds[name] += float(row[f"{name}_seconds"])
            if row["gate"] == name:
                self.failed[name][row["failed"]] += 1
                break

    def compare(self, same: bool, seconds: float) -> None:
        """Count a comparison with what was kept before."""
        self.seen[DISTINCT] += 1
        self.seconds[DISTINCT] += seconds
        if same:
            self.failed[DISTINCT]["like a kept one"] += 1

    def keep(self) -> None:
        """Count a kept sample."""
        self.kept += 1

    def mark(self) -> None:
        """Note how much is kept after how much work; at most some dozens of notes stay."""
        if self.samples % self._stride == 0:
            self._curve.append((self.samples, self.hours, self.kept))
        if len(self._curve) >= 2 * _MOST_POINTS:
            self._curve = self._curve[1::2]
            self._stride *= 2

    @property
    def hours(self) -> float:
        """Hours of sampling and of all gates."""
        return (self.sampling + sum(self.seconds.values())) / _HOUR

    def facts(self) -> dict[str, Any]:
        """Return all counts as JSON can hold them."""
        gates = [
            {
                "name": name,
                "seen": self.seen[name],
                "passed": self.seen[name] - sum(self.failed[name].values()),
                "seconds": self.seconds[name],
                "failed": dict(self.failed[name].most_common()),
            }
            for name in self.gates
        ]
        last = (self.samples, self.hours, self.kept)
        return {
            "samples": self.samples,
            "sampling_seconds": self.sampling,
            "gates": gates,
            "kept": self.kept,
            "hours": self.hours,
            # What natives and other programs' samples cost is not known.
            "kept_per_hour": self.kept / self.hours if self.sampling else None,
            "curve": self._curve if self._curve[-1:] == [last] else [*self._curve, last],
        }
