"""The page that compares a matrix's objectives, fields, steps and seeds."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from domains.evaluation.matrix import figures as figures
from domains.evaluation.matrix.results import MATRIX, Entry, FieldResults, of_cell, tidy
from domains.evaluation.report.page import download, render, write_page
from domains.evaluation.statistics.table import write_table

__all__ = ["build_comparison"]


def build_comparison(
    fields: Sequence[FieldResults],
    output: Path,
    table: Path,
    *,
    name: str,
    title: str,
    notes: str = "",
) -> None:
    """Write the tidy table of a matrix, and its page that opens offline.

    Args:
        fields: Results of each field.
        output: The HTML file.
        table: The CSV file.
        name: Of the matrix.
        title: Title of the page.
        notes: Plain text for the reader; blank lines part paragraphs.
    """
    styles, results = figures.line_styles(fields), tidy(name, fields)
    write_table(table, results, MATRIX)
    page = render(
        "matrix.html",
        title=title,
        notes=notes,
        fields=[_field(field, styles) for field in fields],
        styles=styles,
        seeds=sorted({e.seed for f in fields for e in f.entries if e.seed is not None}),
        address=download(results.to_csv(index=False)),
    )
    write_page(output, page)


def _field(field: FieldResults, styles: Mapping[str, str]) -> dict[str, Any]:
    """Return all that the page shows of a field."""
    return {
        "results": field,
        "steps": _steps(field),
        "grid": _grid(field),
        "rows": _rows(field),
        "sets": [e for e in field.entries if not e.line],
        "step_panels": figures.step_panels(field, styles),
        "diversity_panels": figures.diversity_panels(field, styles),
        "budget_panel": figures.budget_panel(field, styles),
        "memory_panel": figures.memory_panel(field, styles),
        "sensitivity_panel": figures.sensitivity_panel(field, styles),
    }


def _steps(field: FieldResults) -> list[int]:
    return sorted({e.steps for e in field.entries if e.line})


def _grid(field: FieldResults) -> list[dict[str, Any]]:
    """Return the first measure by line and steps; in each column the best is marked."""
    steps, key = _steps(field), field.primary
    rows = [
        {"line": line, "cells": [of_cell(field.cell(line, k), key) for k in steps]}
        for line in field.lines
    ]
    sign = -1 if key and field.metrics[key].better == "lower" else 1
    for column in range(len(steps)):
        values = [sign * row["cells"][column].value for row in rows]
        best = max((v for v in values if math.isfinite(v)), default=math.nan)
        for row, value in zip(rows, values, strict=True):
            row.setdefault("best", []).append(value == best)
    return rows


def _rows(field: FieldResults) -> list[dict[str, Any]]:
    """Return one row for each line and number of steps."""
    cells = [(line, k, field.cell(line, k)) for line in field.lines for k in _steps(field)]
    return [
        {
            "line": line,
            "steps": steps,
            "seeds": len(cell),
            "values": [of_cell(cell, key) for key in field.metrics],
            **_cost(field, cell),
        }
        for line, steps, cell in cells
        if cell
    ]


def _cost(field: FieldResults, cell: Sequence[Entry]) -> dict[str, float]:
    """Return the trainings' means over seeds; the target must be reached by each seed."""
    found = [e.training for e in cell if e.training]
    target = field.target(cell[0].steps)
    return {
        "calls": _mean([one.total for one in found]),
        "reached": _mean([one.calls_to(target) for one in found]),
        "minutes": _mean([one.seconds / 60 for one in found]),
        "memory": _mean([one.memory for one in found]),
    }


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else math.nan
