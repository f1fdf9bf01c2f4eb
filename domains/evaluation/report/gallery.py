"""Pictures and curves of the report: maps, training."""

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from domains.errors import FewstepError
from domains.evaluation.report import figures, pictures
from domains.evaluation.report.figures import Series
from domains.evaluation.report.scenes import as_numbers
from domains.evaluation.statistics.sets import EvaluationSet
from domains.files.regular import check_regular

__all__ = ["matrices", "training"]

_LOG_POINTS = 300  # of a training curve: one a pixel


def matrices(sets: Sequence[EvaluationSet]) -> list[dict[str, Any]]:
    """Return heat maps grouped by title, one colour scale in each group."""
    found: dict[str, list[tuple[EvaluationSet, np.ndarray]]] = {}
    for one in sets:
        for matrix in one.gallery.get("matrices", []):
            title = str(matrix.get("title", ""))
            found.setdefault(title, []).append((one, as_numbers(matrix.get("values"), one.path)))
    groups = []
    for title, members in found.items():
        pool = np.concatenate([values[np.isfinite(values)].ravel() for _, values in members])
        low, high = (float(pool.min()), float(pool.max())) if pool.size else (math.nan, math.nan)
        maps = [
            {
                "set": one,
                "image": pictures.heat_map(values, low, high),
                "shape": " × ".join(map(str, values.shape)),
                "missing": int((~np.isfinite(values)).sum()),
            }
            for one, values in members
        ]
        groups.append({"title": title, "low": low, "high": high, "maps": maps})
    ramp = pictures.heat_map(np.arange(255.0)[None, :], 0, 254)
    return [{**group, "ramp": ramp} for group in groups]


def _numbers(column: Iterable[str]) -> np.ndarray | None:
    """Return the column as numbers (blank is NaN), or None where a cell is text."""
    try:
        return np.array([math.nan if cell == "" else float(cell) for cell in column])
    except ValueError:
        return None


def _thin(steps: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return block means, so that a long curve keeps its shape in few points."""
    blocks = np.array_split(np.arange(len(values)), min(len(values), _LOG_POINTS))
    return (
        np.array([steps[block].mean() for block in blocks]),
        np.array([values[block].mean() for block in blocks]),
    )


def training(path: Path | None) -> list[dict[str, Any]]:
    """Return one small panel for each numeric column of the training log."""
    if path is None:
        return []
    try:
        check_regular(path)
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
    except (OSError, ValueError) as error:  # pandas' own errors are ValueErrors
        raise FewstepError(
            f"can't read the training log {path}",
            got=str(error),
            do="Give the CSV file that distill writes",
        ) from error
    steps = _numbers(table["step"]) if "step" in table.columns else None
    if steps is None:
        raise FewstepError(
            f"the training log {path} has no numeric column",
            expected="step",
            got=", ".join(map(str, table.columns)),
            do="Give the CSV file that distill writes",
        )
    panels = []
    for name in table.columns.drop("step"):
        values = _numbers(table[name])
        written = (table[name] != "").to_numpy()  # blank: not logged at this step, no failure
        if values is None or not written.any():
            continue
        bad = int((~np.isfinite(values[written])).sum())
        xs, ys = _thin(steps[written], values[written])
        series = [Series(str(name), "c-s0 fine", xs, ys, dots=False)]
        if len(ys) > 30:
            smooth = pd.Series(ys).ewm(span=15, ignore_na=True).mean().where(np.isfinite(ys))
            series.append(Series(f"{name}, smoothed", "c-s0", xs, smooth.to_numpy(), dots=False))
        svg = figures.line_panel(
            series,
            x_label="step",
            y_scale="linear" if name == "seconds" else "auto",
            describe=f"{name} against step",
        )
        panels.append(
            {
                "name": name,
                "svg": svg,
                "last": values[written][-1],
                "notes": f"{bad:,} values n/a" if bad else "",
            }
        )
    return panels
