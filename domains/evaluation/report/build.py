"""Build the report: one HTML file that opens offline and compares students with their teacher.

Reads only the files of the evaluate stage and knows nothing of a scientific field: what a
metric means and which direction is better comes in as an argument.
"""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from markupsafe import Markup

from domains.config.fields import MADE
from domains.errors import FewstepError
from domains.evaluation.report import gallery, screens, sections
from domains.evaluation.report.page import download, render, write_page
from domains.evaluation.report.scenes import scenes
from domains.evaluation.statistics import comparison, trade_off
from domains.evaluation.statistics.lead import lead, with_teacher
from domains.evaluation.statistics.sets import (
    GENERATED,
    ROLES,
    EvaluationSet,
    Metric,
    all_metrics,
    of_role,
    published_sets,
    read_set,
)
from domains.evaluation.statistics.to_teacher import with_distances
from domains.files.provenance import sha256

__all__ = ["Metric", "build_report"]

_SAMPLE_BUDGET = 600_000  # characters of per-sample tables offered for download


def _table(sets: Sequence[EvaluationSet], metrics: Mapping[str, Metric]) -> list[dict[str, Any]]:
    best = {}
    for key, metric in metrics.items():
        values = [one.estimate(key)[0] for one in of_role(sets, *GENERATED)]
        values = [value for value in values if math.isfinite(value)]
        if metric.better != "none" and len(values) > 1:
            best[key] = max(values) if metric.better == "higher" else min(values)
    rows = []
    for one in sets:
        cells = []
        for key in metrics:
            value, low, high = one.estimate(key)
            cells.append(
                {
                    "made": _made(one, key),
                    "value": value,
                    "low": low,
                    "high": high,
                    "measured": key in set(one.metrics["metric"]),
                    "best": one.role in GENERATED and best.get(key) == value,
                }
            )
        rows.append({"set": one, "cells": cells})
    return rows


def _made(one: EvaluationSet, key: str) -> str:
    """Describe the samples, seeds and tool behind a number."""
    kept = pd.Index(["n", "seeds", "tool"])
    facts = one.metrics.loc[one.metrics["metric"] == key, kept].to_dict("records")
    said = [f"{name} {value}" for fact in facts for name, value in fact.items() if value == value]
    return ", ".join(said)


def _downloads(sets: Sequence[EvaluationSet]) -> list[dict[str, Any]]:
    tidy = pd.concat([one.metrics.assign(label=one.label) for one in sets])
    found: list[dict[str, Any]] = [
        {
            "name": "metrics.csv",
            "text": "every metric of every set, tidy",
            "address": download(tidy.to_csv(index=False)),
        }
    ]
    tables = [one.samples.assign(set=one.label) for one in sets if not one.samples.empty]
    text = pd.concat(tables).to_csv(index=False) if tables else ""
    if text and len(text) <= _SAMPLE_BUDGET:
        found.append(
            {"name": "samples.csv", "text": "one row for each sample", "address": download(text)}
        )
    elif text:
        found.append(
            {
                "name": "samples.csv",
                "address": None,
                "text": "too large to embed; it lies beside each set.csv",
            }
        )
    return found


def _hashes(one: EvaluationSet) -> dict[str, str]:
    files = ("set.json", "set.csv", "samples.csv", "gallery.json")
    return {name: sha256(one.path / name) for name in files if (one.path / name).is_file()}


def _safe_json(content: object) -> Markup:
    """Return JSON that can't close the script element that holds it."""
    text = json.dumps(content, allow_nan=False, separators=(",", ":"))
    return Markup(text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e"))


def build_report(
    evaluations: list[Path],
    output: Path,
    *,
    title: str,
    published: pd.DataFrame | None = None,
    training_log: Path | None = None,
    notes: str = "",
    metrics: Mapping[str, Metric] | None = None,
    screened: Sequence[Path] = (),
    made: tuple[str, str] = MADE,
) -> None:
    """Write one self-contained HTML report of all evaluated sets.

    Args:
        evaluations: Directories ``evaluation/<set>``.
        output: The HTML file, written atomically.
        title: Title of the page.
        published: Tidy numbers from papers: run, metric, value; optional low, high, steps,
            noise_scale, n and source (an ``https`` address or a citation).
        training_log: CSV of the distiller with a column ``step``.
        notes: Plain text for the reader; blank lines part paragraphs.
        metrics: Meaning and direction of each metric, the most important first: the first
            one with a direction that is no cost decides the headline.
        made: How the field says that one sample, or several, were made.
        screened: Directories of the screen stage, in the order of the section's rows.

    Raises:
        FewstepError: No set was given, or a file is missing or malformed.
    """
    if not evaluations:
        raise FewstepError(
            "no evaluated set was given",
            expected="at least one directory",
            do="Run the evaluate stage first",
        )
    order = {role: index for index, role in enumerate(ROLES)}
    found, compared = with_teacher([read_set(Path(path)) for path in evaluations])
    measured = sorted(
        with_distances(found, metrics or {}),
        key=lambda one: (order[one.role], one.number("steps")),
    )
    sets = [*measured, *published_sets(published)]
    explained = all_metrics(sets, metrics)
    styles, hidden = sections.set_styles(sets), sections.hidden_sets(measured, explained)
    key = comparison.primary_metric(measured, explained)
    packed, shown = scenes(measured, output)
    write_page(
        output,
        render(
            "report.html",
            title=title,
            notes=notes,
            headline=lead(measured, explained, metrics, made),
            primary=explained.get(key or ""),
            students=comparison.student_rows(measured, explained),
            cautions=[*compared, *comparison.cautions(measured, explained)],
            teacher=comparison.best_set(of_role(measured, "teacher"), key, explained),
            time_panel=sections.time_panel(measured, explained),
            metrics=explained,
            **screens.shown(screened),
            rows=_table(sets, explained),
            step_panels=sections.step_panels(measured, explained),
            step_groups=sections.step_groups(measured),
            trade_panels=trade_off.trade_panels(measured, styles, explained),
            recommendation=trade_off.recommendation(measured, explained),
            sets=measured,
            styles=styles,
            distributions=sections.distributions(measured, styles, hidden, explained),
            hidden=hidden,
            matrices=gallery.matrices(measured),
            scenes=_safe_json(packed),
            scene_rows=shown,
            training=gallery.training(training_log),
            training_log=training_log,
            training_hash=sha256(training_log) if training_log else "",
            downloads=_downloads(sets),
            hashes=[_hashes(one) for one in measured],
        ),
    )
