"""Sections of the report: what each figure shows, and of which sets."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from markupsafe import Markup

from domains.evaluation.report import figures
from domains.evaluation.report.axis import format_number
from domains.evaluation.report.figures import Band, Series
from domains.evaluation.statistics.comparison import best_set, primary_metric
from domains.evaluation.statistics.sets import ROLES, EvaluationSet, Metric, of_role

__all__ = ["distributions", "hidden_sets", "set_styles", "step_groups", "step_panels", "time_panel"]

_STUDENT_COLOURS = 6
_CROWD = 5  # more histograms than this on one axis can't be read
# Columns of a sample's row that say which it is; a name such as 000123 reads like a number.
_NOT_MEASURED = {"sample", "length", "seed", "name", "file", "shard", "steps", "noise_scale"}


def set_styles(sets: Sequence[EvaluationSet]) -> dict[int, str]:
    """Return the CSS classes of each set: colour by role, dash for a repeated colour."""
    names = {
        "teacher": "c-teacher",
        "teacher_naive": "c-naive",
        "files": "c-files",
        "data": "c-data",
        "decoys": "c-decoys",
        "published": "c-published",
    }
    used: dict[str, int] = {}
    styles = {}
    for index, one in enumerate(sets):
        count = used.get(one.role, 0)
        used[one.role] = count + 1
        colour = names.get(one.role, f"c-s{count % _STUDENT_COLOURS}")
        dash = count // _STUDENT_COLOURS if one.role == "student" else count
        styles[index] = f"{colour} d{dash % 4} k{index}"
    return styles


def step_groups(sets: Sequence[EvaluationSet]) -> list[tuple[str, str, list[EvaluationSet]]]:
    """Group few-step sets into lines: by role and noise scale, and by run where steps repeat."""
    lines: dict[tuple[str, str], list[EvaluationSet]] = {}
    for one in of_role(sets, "student", "teacher_naive"):
        lines.setdefault((one.role, _noise(one)), []).append(one)
    found, count = [], {"student": 0, "teacher_naive": 0}
    for (role, name), members in lines.items():
        parts = {name: members}
        if len({one.number("steps") for one in members}) < len(members):
            parts = {}
            for one in members:
                parts.setdefault(f"{one.facts.get('run')}, {name}", []).append(one)
        for label, part in parts.items():
            colour = f"c-s{count[role] % _STUDENT_COLOURS}" if role == "student" else "c-naive"
            dash = count[role] // (_STUDENT_COLOURS if role == "student" else 1)
            found.append(
                (
                    f"{ROLES[role]}, {label}",
                    f"{colour} d{dash % 4}",
                    sorted(part, key=lambda one: one.number("steps")),
                )
            )
            count[role] += 1
    return found


def _noise(found: EvaluationSet) -> str:
    if found.facts.get("sampler") == "tuned":
        return "searched schedule"
    return f"noise scale {format_number(found.facts.get('noise_scale'))}"


def _series(
    groups: Sequence[tuple[str, str, list[EvaluationSet]]], key: str, fact: str
) -> list[Series]:
    found = []
    for label, style, members in groups:
        members = [
            one for one in members if key in set(one.metrics["metric"]) and one.number(fact) > 0
        ]
        if members:
            columns = np.array([one.estimate(key) for one in members]).T
            found.append(Series(label, style, [one.number(fact) for one in members], *columns))
    return found


def _bands(sets: Sequence[EvaluationSet], key: str) -> list[Band]:
    return [
        Band(one.label, "c-data" if one.role == "data" else "c-teacher", *one.estimate(key))
        for one in of_role(sets, "data", "teacher")
        if math.isfinite(one.estimate(key)[0])
    ]


def step_panels(
    sets: Sequence[EvaluationSet], metrics: Mapping[str, Metric]
) -> list[dict[str, Any]]:
    """Return one panel for each metric that a few-step set has."""
    groups, panels = step_groups(sets), []
    for key, metric in metrics.items():
        series = _series(groups, key, "steps")
        if series:
            svg = figures.line_panel(
                series,
                _bands(sets, key),
                x_label="steps",
                x_scale="log2",
                describe=f"{metric.label} against the number of steps",
            )
            panels.append({"metric": metric, "svg": svg})
    return panels


def time_panel(sets: Sequence[EvaluationSet], metrics: Mapping[str, Metric]) -> Markup | None:
    """Draw the headline metric against seconds a sample, where times were taken."""
    key = primary_metric(sets, metrics)
    teachers = [
        ("Teacher " + one.label, f"c-teacher d{i % 4}", [one])
        for i, one in enumerate(of_role(sets, "teacher"))
    ]
    series = _series([*step_groups(sets), *teachers], key, "seconds_per_sample") if key else []
    if not key or not series:
        return None
    return figures.line_panel(
        series,
        [band for band in _bands(sets, key) if band.style == "c-data"],
        x_label="seconds a sample",
        y_label=metrics[key].label,
        x_scale="log10",
        describe=f"{metrics[key].label} against seconds a sample",
    )


def hidden_sets(sets: Sequence[EvaluationSet], metrics: Mapping[str, Metric]) -> set[int]:
    """Return the sets that a crowded distribution panel shows only when asked for."""
    if sum(not one.samples.empty for one in sets) <= _CROWD:
        return set()
    key = primary_metric(sets, metrics)
    shown = [best_set(of_role(sets, role), key, metrics) for role in ("teacher", "student", "data")]
    return {index for index, one in enumerate(sets) if not any(one is keep for keep in shown)}


def distributions(
    sets: Sequence[EvaluationSet],
    styles: Mapping[int, str],
    hidden: set[int],
    metrics: Mapping[str, Metric],
) -> list[dict[str, Any]]:
    """Return a histogram and a cumulative panel for each number that single samples have."""
    columns = dict.fromkeys(
        column
        for one in sets
        for column in one.samples.select_dtypes("number").columns
        if column not in _NOT_MEASURED
    )
    panels = []
    for column in columns:
        groups, absent = [], []
        for index, one in enumerate(sets):
            if column in one.samples.columns:
                # Text among the numbers is counted with those that are not there.
                given = pd.to_numeric(one.samples[column], errors="coerce")
                values = np.asarray(given, dtype=float)
                off = " off" if index in hidden else ""
                groups.append((one.label, styles[index] + off, values))
                bad = int((~np.isfinite(values)).sum())
                if bad:
                    absent.append(f"{one.label}: {bad:,} of {len(values):,} n/a")
        metric = metrics.get(column) or Metric(column, "")
        shown, outside = figures.distribution_panel(
            groups, x_label=metric.label, kind="histogram", describe=f"Histogram of {metric.label}"
        )
        curve, _ = figures.distribution_panel(
            groups,
            x_label=metric.label,
            kind="cumulative",
            describe=f"Cumulative distribution of {metric.label}",
        )
        if outside:
            absent.append(f"{outside:,} values lie outside the axis")
        panels.append(
            {"metric": metric, "histogram": shown, "cumulative": curve, "notes": "; ".join(absent)}
        )
    return panels
