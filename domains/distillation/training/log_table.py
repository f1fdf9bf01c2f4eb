"""The training log: means over intervals, as a CSV that survives resuming, and TensorBoard."""

import csv
import math
from collections import defaultdict
from pathlib import Path

import torch
from torch import Tensor

from domains.device import waits
from domains.errors import FewstepError
from domains.files.provenance import atomic_path
from domains.files.regular import check_regular

__all__ = ["LogTable"]


class LogTable:
    """Collects numbers step by step and writes a row per interval.

    Args:
        path: The CSV; rows later than ``step`` are dropped, they will be made again.
        step: Step that training (re)starts from.

    Raises:
        FewstepError: The CSV that is there is no such table.
    """

    def __init__(self, path: Path, step: int = 0):
        self.path = Path(path)
        self._sums: dict[str, float] = defaultdict(float)
        self._counts: dict[str, int] = defaultdict(int)
        # Numbers that are still on an accelerator, by their names: sums and counts [names, 2].
        self._late: dict[tuple[str, ...], Tensor] = {}
        self.rows: list[dict[str, float]] = []
        if self.path.exists():
            self.rows = [row for row in self._read() if row["step"] <= step]

    def _read(self) -> list[dict[str, float]]:
        try:
            check_regular(self.path)
            with self.path.open(newline="", encoding="utf-8") as stream:
                table = csv.DictReader(stream, strict=True)
                return [{"step": float(row["step"]), **_numbers(row)} for row in table]
        except (OSError, ValueError, TypeError, KeyError, csv.Error) as error:
            raise FewstepError(
                f"{self.path} is no table of numbers",
                got=error,
                do="Move it away: training goes on, and its curves begin here",
            ) from error

    def add(self, **values: Tensor | float) -> None:
        """Add numbers of one step to the interval's means; those of an accelerator stay there.

        Args:
            **values: Scalars, or sums and their counts [2], of which the mean is a number.
        """
        late = {k: v for k, v in values.items() if isinstance(v, Tensor) and waits(v.device)}
        for name, value in values.items():
            if name in late:
                continue
            if isinstance(value, Tensor) and value.ndim:
                total, count = float(value[0]), float(value[1])
                if not count:
                    continue
                value = total / count
            self._sums[name] += float(value.detach() if isinstance(value, Tensor) else value)
            self._counts[name] += 1
        if late:
            names, pairs = tuple(late), torch.stack([_pair(value) for value in late.values()])
            known = self._late.get(names)
            self._late[names] = pairs if known is None else known + pairs

    def _settle(self) -> None:
        """Add what was left on an accelerator, which means waiting for it."""
        for names, pairs in self._late.items():
            for name, pair in zip(names, pairs.cpu(), strict=True):
                if count := int(pair[1]):
                    self._sums[name] += float(pair[0])
                    self._counts[name] += count
        self._late.clear()

    def pending(self) -> dict[str, float]:
        """Return the means since the last row."""
        self._settle()
        return {name: self._sums[name] / count for name, count in self._counts.items()}

    def close_row(self, step: int, **totals: float) -> dict[str, float]:
        """Write totals and the interval's means as the row of ``step``; start a new interval."""
        row = {"step": float(step), **totals, **self.pending()}
        self._sums.clear()
        self._counts.clear()
        self.rows.append(row)
        self._write()
        return row

    def restore(self, state: dict[str, tuple[float, int]]) -> None:
        """Take up an interval that was interrupted (see ``state``)."""
        for name, (total, count) in state.items():
            self._sums[name], self._counts[name] = total, count

    def state(self) -> dict[str, tuple[float, int]]:
        """Return the sums of the open interval."""
        self._settle()
        return {name: (self._sums[name], self._counts[name]) for name in self._counts}

    def _write(self) -> None:
        columns = ["step", *sorted({name for row in self.rows for name in row} - {"step"})]
        with atomic_path(self.path) as temporary, temporary.open("w", newline="") as stream:
            writer = csv.DictWriter(stream, columns, restval="")
            writer.writeheader()
            for row in self.rows:
                writer.writerow({k: _text(v) for k, v in row.items()})


def _pair(value: Tensor) -> Tensor:
    """Return a number and 1 [2], or twice 0 for the mean of no number."""
    value = value.detach().double()
    if not value.ndim:
        return torch.stack([value, torch.ones_like(value)])
    total, count = value.unbind()
    some = (count > 0).double()
    return torch.stack([total / count.clamp(min=1) * some, some])


def _numbers(row: dict[str, str]) -> dict[str, float]:
    return {name: float(value) for name, value in row.items() if value}


def _text(value: float) -> str:
    """Return six significant digits, and the same again when they are read back."""
    if not math.isfinite(value):
        return str(value)
    short = value if value == int(value) else float(f"{value:.6g}")
    return str(int(short)) if short == int(short) else f"{short:.6g}"
