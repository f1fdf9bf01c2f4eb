"""Results of a matrix: what each set is, how good it is, what its training cost."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from domains.evaluation.statistics.seeds import over_seeds
from domains.evaluation.statistics.sets import EvaluationSet, Metric
from domains.evaluation.statistics.table import Interval, Kind, Schema
from domains.evaluation.statistics.trainings import Training

__all__ = ["MATRIX", "Entry", "FieldResults", "of_cell", "tidy"]

# A target that is reached this near to the best quality of students with as many steps.
_NEAR = 0.95

_KINDS: dict[str, Kind] = {
    "matrix": "text",
    "domain": "text",
    "set": "text",
    "role": "text",
    "objective": "text",
    "variation": "text",
    "steps": "integer",
    "seed": "number",
    "noise_scale": "number",
    "budget": "number",
    "metric": "text",
    "value": "number",
    "low": "number",
    "high": "number",
    "n": "integer",
    "tool": "text",
}
MATRIX = Schema(_KINDS)


@dataclass(frozen=True)
class Entry:
    """One set of a matrix.

    Attributes:
        line: Label of its objective, or of its baseline.
        variation: Label of the hyper-parameter that is varied; empty for the matrix proper.
        steps: Steps of its sampling.
        seed: Of its student's training; None without one.
        evaluation: Its evaluation.
        training: Its student's training; None without one.
    """

    line: str
    variation: str
    steps: int
    seed: int | None
    evaluation: EvaluationSet
    training: Training | None = None


@dataclass(frozen=True)
class FieldResults:
    """Results of a field.

    Attributes:
        domain: Its name.
        budget: Network calls of a training.
        main_steps: Steps at which objectives are ranked.
        metrics: Measures to show, the most important first.
        entries: What was evaluated.
        missing: Sets that are not there yet.
        obstacles: Objectives that can't be trained, with the sentence that says why.
    """

    domain: str
    budget: int
    main_steps: int
    metrics: Mapping[str, Metric]
    entries: Sequence[Entry]
    missing: Sequence[str]
    obstacles: Sequence[tuple[str, str]]

    @property
    def primary(self) -> str:
        """Return the measure that objectives are ranked by."""
        return next(iter(self.metrics), "")

    @property
    def lines(self) -> list[str]:
        """Return the objectives, and the re-noised teacher, in their order."""
        return list(dict.fromkeys(e.line for e in self.entries if e.line))

    def cell(self, line: str, steps: int) -> list[Entry]:
        """Return all seeds of a line's students, or its set, with a number of steps."""
        return [e for e in self.entries if (e.line, e.steps, e.variation) == (line, steps, "")]

    def target(self, steps: int) -> float:
        """Return the validation quality that is nearly the best one with as many steps."""
        estimates = [e.training.best for e in self.entries if e.training and e.steps == steps]
        best = np.nanmax(estimates) if np.isfinite(estimates).any() else math.nan
        return float(_NEAR * best) if best > 0 else math.nan


def of_cell(entries: Sequence[Entry], metric: str) -> Interval:
    """Return a measure's mean over the seeds of a cell, with the luck of seeds and samples."""
    estimates = [entry.evaluation.estimate(metric) for entry in entries]
    return over_seeds(np.array(estimates, dtype=float).reshape(-1, 3))


def tidy(matrix: str, fields: Sequence[FieldResults]) -> pd.DataFrame:
    """Return all measures of all sets, and what their trainings cost, one row each."""
    rows = [
        {"matrix": matrix, "domain": field.domain, **_facts(field, entry), **measure}
        for field in fields
        for entry in field.entries
        for measure in (*_measured(entry), *_cost(field, entry))
    ]
    return pd.DataFrame(rows, columns=list(MATRIX.columns))


def _facts(field: FieldResults, entry: Entry) -> dict[str, object]:
    trained = entry.training is not None
    return {
        "set": entry.evaluation.path.name,
        "role": entry.evaluation.role,
        "objective": entry.line if trained else "",
        "variation": entry.variation,
        "steps": entry.steps,
        "seed": math.nan if entry.seed is None else entry.seed,
        "noise_scale": entry.evaluation.number("noise_scale"),
        "budget": field.budget if trained else math.nan,
    }


def _measured(entry: Entry) -> list[dict[str, object]]:
    kept = pd.Index(["metric", "value", "low", "high", "n", "tool"])
    rows = entry.evaluation.metrics.loc[:, kept].to_dict("records")
    # A tool that is not named is read back as a number.
    tools = [row["tool"] if isinstance(row["tool"], str) else "" for row in rows]
    return [{**row, "tool": tool} for row, tool in zip(rows, tools, strict=True)]


def _cost(field: FieldResults, entry: Entry) -> list[dict[str, object]]:
    training = entry.training
    if training is None:
        return []
    values = {
        "training_network_calls": training.total,
        "training_seconds": training.seconds,
        "training_peak_mib": training.memory,
        "validation_quality": training.best,
        "calls_to_quality": training.calls_to(field.target(entry.steps)),
    }
    return [
        {"metric": k, "value": v, "low": math.nan, "high": math.nan, "n": 1, "tool": ""}
        for k, v in values.items()
    ]
