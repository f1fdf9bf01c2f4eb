"""Cost of a training, and its student's validation quality over it."""

import json
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from domains.errors import FewstepError
from domains.evaluation.report.axis import Numbers
from domains.files.regular import check_regular, read_regular

__all__ = ["Training", "read_training"]


@dataclass(frozen=True)
class Training:
    """A student's training.

    Attributes:
        calls: Network calls at each validation, rising [v].
        quality: The validations' quality; higher is better [v].
        total: Network calls in all.
        seconds: Wall-clock time of the job, since it was started for the last time.
        memory: Its peak resident memory, MiB.
    """

    calls: Numbers
    quality: Numbers
    total: float
    seconds: float
    memory: float

    @property
    def best(self) -> float:
        """Return the best quality; NaN without validations."""
        return float(self.quality.max(initial=-math.inf)) if self.quality.size else math.nan

    def best_so_far(self, calls: Numbers) -> Numbers:
        """Return the best quality up to each of ``calls``; NaN before the first validation."""
        reached = np.maximum.accumulate(self.quality)
        place = np.searchsorted(self.calls, calls, side="right")
        return np.concatenate([[math.nan], reached])[place]

    def calls_to(self, target: float) -> float:
        """Return the network calls until ``target`` was reached; NaN if it never was."""
        there = np.flatnonzero(self.quality >= target)
        return float(self.calls[there[0]]) if there.size else math.nan


def read_training(log: Path, benchmark: Path) -> Training:
    """Read a training's log and what Snakemake measured of its job.

    Args:
        log: The distiller's ``log.csv``.
        benchmark: Snakemake's JSON lines; absent, time and memory are unknown.

    Raises:
        FewstepError: The log is missing, or no table of a training.
    """
    try:
        check_regular(log)
        table = pd.read_csv(log)
        calls = table["network_calls"].to_numpy(float)
        found = table.reindex(columns=pd.Index(["validation/quality"])).to_numpy(float)[:, 0]
    except (OSError, ValueError, KeyError) as error:  # pandas' own errors are ValueErrors
        raise FewstepError(
            f"can't read the training log {log}", got=error, do="Train this student again"
        ) from error
    known = np.isfinite(found) & np.isfinite(calls)
    total = float(calls[-1]) if calls.size else math.nan
    return Training(calls[known], found[known], total, *_job(benchmark))


def _job(benchmark: Path) -> tuple[float, float]:
    """Return seconds and peak memory of a job's last start."""
    if not benchmark.exists():
        return math.nan, math.nan
    try:
        measured = json.loads(read_regular(benchmark).splitlines()[-1])
        return _number(measured["s"]), _number(measured["max_rss"])
    except (OSError, ValueError, KeyError, IndexError, TypeError, RecursionError) as error:
        raise FewstepError(
            f"{benchmark} is none of Snakemake's benchmarks", got=error, do="Remove it"
        ) from error


def _number(value: object) -> float:
    """Return a measurement; a job that was too short has none."""
    try:
        return float(value) if isinstance(value, int | float) else math.nan
    except OverflowError:
        return math.nan
