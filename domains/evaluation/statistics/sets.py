"""Evaluated sets: what the evaluate stage wrote, read and checked."""

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from domains.errors import FewstepError
from domains.evaluation.statistics.set_form import LARGEST, check_facts, check_gallery
from domains.evaluation.statistics.table import SUMMARY, Schema, read_table
from domains.files.regular import read_json_object

__all__ = [
    "GENERATED",
    "ROLES",
    "TIDY",
    "EvaluationSet",
    "Metric",
    "all_metrics",
    "bounded",
    "of_role",
    "published_sets",
    "read_set",
]

ROLES = {
    "teacher": "Teacher",
    "student": "Student",
    "teacher_naive": "Teacher, few steps",
    "files": "Another program",
    "data": "Data",
    "decoys": "Decoys",
    "published": "Published",
}
GENERATED = ("teacher", "student", "teacher_naive", "files")
TIDY = tuple(SUMMARY.columns)
# Hand-made sets may say more, and no number of steps for data.
_SET = Schema({**SUMMARY.columns, "steps": "number"}, extra=True)
_ANY = Schema({}, extra=True)


@dataclass(frozen=True)
class Metric:
    """Label, explanation and direction of a metric.

    Args:
        label: Name and unit on the page.
        explanation: One line.
        better: Which direction is better; "none" is neither marked nor judged.
        same_within: Bound of equivalence: two sets are equal if the 95 % interval of their
            difference is within it; 0: there is none, and nothing is called equal.
        diversity: Whether it tells how different samples are: quality is drawn against it.
        columns: Of the samples' tables, where the metric is the distance of two sets in them.
    """

    label: str
    explanation: str
    better: Literal["higher", "lower", "none"] = "none"
    same_within: float = 0.0
    diversity: bool = False
    columns: tuple[str, ...] = ()


@dataclass(frozen=True)
class EvaluationSet:
    """The files of one evaluated set of samples."""

    path: Path
    facts: dict[str, Any]
    metrics: pd.DataFrame
    samples: pd.DataFrame
    gallery: dict[str, Any]

    @property
    def role(self) -> str:
        """Return teacher, student, teacher_naive, files, data, decoys or published."""
        return self.facts["role"]

    @property
    def label(self) -> str:
        """Return the name that the page shows."""
        return str(self.facts.get("label") or self.path.name)

    def number(self, fact: str) -> float:
        """Return a numeric fact of ``set.json``; NaN where it's absent or no number."""
        value = self.facts.get(fact)
        try:
            return float(value) if isinstance(value, int | float) else math.nan
        except OverflowError:
            return math.nan

    def estimate(self, metric: str) -> tuple[float, float, float]:
        """Return value, low and high of a metric; NaN where absent."""
        rows = self.metrics[self.metrics["metric"] == metric]
        if rows.empty:
            return math.nan, math.nan, math.nan
        value, low, high = (float(rows.iloc[0][name]) for name in ("value", "low", "high"))
        return value, low, high


def _read_json(path: Path) -> dict[str, Any]:
    try:
        return read_json_object(path)
    except FileNotFoundError:
        raise FewstepError(f"{path} is missing", do="Run the evaluate stage first") from None
    except (OSError, ValueError) as error:
        raise FewstepError(
            f"{path} is no JSON or has a wrong form", got=error, do="Run the evaluate stage again"
        ) from error


def _as_tidy(table: pd.DataFrame, name: object) -> pd.DataFrame:
    if table["metric"].duplicated().any():
        twice = table.loc[table["metric"].duplicated(), "metric"].iloc[0]
        raise FewstepError(
            f"{name} names a metric twice", got=twice, do="Keep one row for each metric"
        )
    numbers = table[["value", "low", "high"]].apply(pd.to_numeric, errors="coerce")
    huge = (numbers.abs() > LARGEST) & (numbers.abs() < math.inf)
    if huge.to_numpy().any():
        raise FewstepError(
            f"{name} has a value above {LARGEST:g}", do="Run the evaluate stage again"
        )
    return table.assign(**{column: numbers[column] for column in numbers})


def read_set(path: Path) -> EvaluationSet:
    """Read one evaluated set.

    Args:
        path: Directory ``evaluation/<set>`` (or any file in it) with ``set.json`` and
            ``set.csv``; ``samples.csv`` and ``gallery.json`` may be absent.

    Raises:
        FewstepError: A file is missing or unreadable, lacks a column or holds another kind of
            value in it, or the role is unknown.
    """
    path = path.parent if path.is_file() else path
    facts = _read_json(path / "set.json")
    if not isinstance(facts.get("role"), str) or facts["role"] not in ROLES:
        raise FewstepError(
            f"{path / 'set.json'} has an unknown role",
            expected=", ".join(ROLES),
            got=facts.get("role"),
            do="Correct the role",
        )
    check_facts(facts, path / "set.json")
    samples, gallery = path / "samples.csv", path / "gallery.json"
    scenes = _read_json(gallery) if os.path.lexists(gallery) else {}
    check_gallery(scenes, gallery)
    return EvaluationSet(
        path=path,
        facts=facts,
        metrics=_as_tidy(read_table(path / "set.csv", _SET), path / "set.csv"),
        samples=read_table(samples, _ANY) if os.path.lexists(samples) else pd.DataFrame(),
        gallery=scenes,
    )


def published_sets(published: pd.DataFrame | None) -> list[EvaluationSet]:
    """Return the numbers of papers as sets; run, metric and value are needed columns."""
    if published is None or published.empty:
        return []
    for column in ("run", "metric", "value"):
        if column not in published.columns:
            raise FewstepError(
                "the published table lacks a column",
                expected=column,
                got=", ".join(map(str, published.columns)),
                do="Add the column",
            )
    full = published.reindex(columns=[*TIDY, *(set(published.columns) - set(TIDY))])
    found = []
    for keys, rows in full.groupby(["run", "steps", "noise_scale"], dropna=False, sort=False):
        run, steps, scale = keys if isinstance(keys, tuple) else (keys, None, None)
        facts = {
            "role": "published",
            "label": str(run),
            "steps": steps,
            "noise_scale": scale,
            "n": rows["n"].iloc[0],
        }
        if "source" in rows.columns:
            facts["source"] = rows["source"].iloc[0]
        tidy = _as_tidy(rows.reset_index(drop=True), f"the published table ({run})")
        found.append(EvaluationSet(Path(str(run)), facts, tidy, pd.DataFrame(), {}))
    return found


def all_metrics(
    sets: Sequence[EvaluationSet], metrics: Mapping[str, Metric] | None
) -> dict[str, Metric]:
    """Return the explained metrics that occur, then those that nobody explained."""
    named = list(dict.fromkeys(str(name) for one in sets for name in one.metrics["metric"]))
    known = dict(metrics or {})
    return {key: known[key] for key in known if key in named} | {
        key: _unexplained(key, known) for key in named if key not in known
    }


def bounded(metrics: Mapping[str, Metric], bounds: Mapping[str, float]) -> dict[str, Metric]:
    """Return metrics with other bounds of equivalence, where some are given; 0 is none."""
    return {
        name: replace(metric, same_within=bounds.get(name, metric.same_within))
        for name, metric in metrics.items()
    }


def _unexplained(key: str, known: Mapping[str, Metric]) -> Metric:
    of = known.get(key.removesuffix("_undefined"))
    if of is None:
        return Metric(key, "No explanation given.")
    return Metric(f"{of.label}: undefined", f"Share of samples without {of.label}.")


def of_role(sets: Sequence[EvaluationSet], *roles: str) -> list[EvaluationSet]:
    """Return the sets of the given roles, in their order."""
    return [one for one in sets if one.role in roles]
