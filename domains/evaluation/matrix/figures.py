"""Figures of a matrix: quality against steps, diversity and budget; memory; sensitivity."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from markupsafe import Markup

from domains.evaluation.matrix.results import Entry, FieldResults, of_cell
from domains.evaluation.report.bars import Bar, bar_panel
from domains.evaluation.report.figures import Band, Series, line_panel
from domains.evaluation.statistics.sets import Metric

__all__ = [
    "budget_panel",
    "diversity_panels",
    "line_styles",
    "memory_panel",
    "sensitivity_panel",
    "step_panels",
]

_COLOURS, _DASHES = 6, 4
_POINTS = 40  # of a curve against the budget


def line_styles(fields: Sequence[FieldResults]) -> dict[str, str]:
    """Return the CSS classes of each line, the same in all fields."""
    trained = [e.line for f in fields for e in f.entries if e.training and e.line]
    styles = {
        line: f"c-s{k % _COLOURS} d{k // _COLOURS % _DASHES}"
        for k, line in enumerate(dict.fromkeys(trained))
    }
    return styles | {line: "c-naive" for f in fields for line in f.lines if line not in styles}


def step_panels(field: FieldResults, styles: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return one panel for each measure: every line against the number of steps."""
    panels = []
    for key, metric in field.metrics.items():
        series = [s for line in field.lines if (s := _against_steps(field, line, key, styles))]
        if series:
            svg = line_panel(
                series,
                _bands(field, key),
                x_label="steps",
                x_scale="log2",
                describe=f"{metric.label} against the number of steps",
            )
            panels.append({"metric": metric, "svg": svg})
    return panels


def _against_steps(
    field: FieldResults, line: str, key: str, styles: Mapping[str, str]
) -> Series | None:
    steps = sorted({e.steps for e in field.entries if e.line == line and not e.variation})
    found = [(k, *of_cell(field.cell(line, k), key)) for k in steps]
    known = [point for point in found if math.isfinite(point[1])]
    return Series(line, styles[line], *np.array(known).T) if known else None


def _bands(field: FieldResults, key: str) -> list[Band]:
    styles = {"data": "c-data", "teacher": "c-teacher"}
    shown = [e.evaluation for e in field.entries if e.evaluation.role in styles]
    bands = [Band(one.label, styles[one.role], *one.estimate(key)) for one in shown]
    return [band for band in bands if math.isfinite(band.value)]


def diversity_panels(field: FieldResults, styles: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return the first measure against each measure of diversity, at the main steps."""
    panels = []
    for key, metric in field.metrics.items():
        if metric.diversity and key != field.primary:
            series = []
            for line in field.lines:
                cell = field.cell(line, field.main_steps)
                x, y = of_cell(cell, key), of_cell(cell, field.primary)
                if math.isfinite(x.value + y.value):
                    low, high = [y.low], [y.high]
                    series.append(Series(line, styles[line], [x.value], [y.value], low, high))
            panels.append(_quality_against(field, metric, series))
    return [panel for panel in panels if panel]


def _quality_against(
    field: FieldResults, metric: Metric, series: Sequence[Series]
) -> dict[str, Any] | None:
    if not series:
        return None
    quality = field.metrics[field.primary]
    svg = line_panel(
        series,
        x_label=metric.label,
        y_label=quality.label,
        describe=f"{quality.label} against {metric.label}",
    )
    return {"metric": metric, "svg": svg}


def budget_panel(field: FieldResults, styles: Mapping[str, str]) -> Markup | None:
    """Draw the best validation quality so far against network calls, mean over seeds."""
    series = []
    for line in field.lines:
        cell = field.cell(line, field.main_steps)
        trainings = [e.training for e in cell if e.training and e.training.calls.size]
        if trainings:
            # Where all seeds have been validated and none has ended.
            first = max(one.calls[0] for one in trainings)
            last = max(first, min(one.calls[-1] for one in trainings))
            calls = np.unique(np.linspace(first, last, _POINTS))
            mean = np.mean([one.best_so_far(calls) for one in trainings], axis=0)
            series.append(Series(line, styles[line], calls, mean, dots=len(calls) == 1))
    if not series:
        return None
    return line_panel(
        series,
        x_label="network calls of the training",
        y_label="validation quality",
        describe="Best validation quality so far against network calls",
    )


def memory_panel(field: FieldResults, styles: Mapping[str, str]) -> Markup | None:
    """Draw the peak memory of each objective's trainings, at the main steps."""
    bars = []
    for line in field.lines:
        cell = field.cell(line, field.main_steps)
        found = [e.training.memory for e in cell if e.training]
        found = [value for value in found if math.isfinite(value)]
        if found:
            bars.append(Bar(line, styles[line], float(np.mean(found)), min(found), max(found)))
    if not bars:
        return None
    return bar_panel(bars, x_label="peak memory, MiB", describe="Peak memory of the trainings")


def sensitivity_panel(field: FieldResults, styles: Mapping[str, str]) -> Markup | None:
    """Draw the first measure of each variation beside its objective's, of the same seed."""
    varied = [e for e in field.entries if e.variation]
    bars: list[Bar] = []
    for line in dict.fromkeys(e.line for e in varied):
        usual = [e for e in field.cell(line, varied[0].steps) if e.seed == varied[0].seed]
        of_line = [*usual, *(e for e in varied if e.line == line)]
        bars += [_bar(e, field.primary, styles[line]) for e in of_line]
    if not bars:
        return None
    label = field.metrics[field.primary].label
    return bar_panel(bars, x_label=label, describe=f"{label} with other hyper-parameters")


def _bar(entry: Entry, key: str, style: str) -> Bar:
    return Bar(entry.variation or entry.line, style, *entry.evaluation.estimate(key))
