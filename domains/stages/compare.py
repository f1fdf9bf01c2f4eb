"""Stage: put the runs of a matrix beside each other, as one HTML file and one tidy table."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

from domains.config import (
    Cell,
    MatrixConfig,
    RunConfig,
    cells,
    field_settings,
    load_matrix,
    runs,
    untrained,
)
from domains.errors import FewstepError

if TYPE_CHECKING:
    from domains.evaluation.matrix.results import Entry, FieldResults
    from domains.evaluation.statistics.sets import EvaluationSet, Metric

__all__ = ["compare"]


def compare(config: Path, results: Path, output: Path, table: Path) -> None:
    """Write one HTML file that compares a matrix's objectives, and all its results as a table.

    What is not there yet is named on the page, so it can be made while the matrix is running.

    Args:
        config: Matrix configuration (YAML).
        results: Directory of its runs.
        output: The comparison (HTML).
        table: All results as tidy CSV.
    """
    matrix = load_matrix(config)

    from domains.evaluation.matrix.page import build_comparison

    fields = [_field(matrix, domain, run, results) for domain, run in runs(matrix).items()]
    if not any(field.entries for field in fields):
        raise FewstepError(
            f"nothing of the matrix {matrix.name} is in {results}", do="Run the workflow first"
        )
    title = matrix.title or matrix.name
    build_comparison(fields, output, table, name=matrix.name, title=title, notes=matrix.notes)


def _field(matrix: MatrixConfig, domain: str, run: RunConfig, results: Path) -> FieldResults:
    from domains.evaluation.matrix.results import FieldResults

    directory, of_field = results / run.name, cells(matrix, domain)
    trained = {cell.name: cell for cell in of_field}
    made = [name for name in run.sets if (directory / "evaluation" / name / "set.json").exists()]
    free = {name: line for name, (line, _) in untrained(matrix, domain).items()}
    entries = [
        _student(directory, trained[name])
        if name in trained
        else _compared(directory / "evaluation" / name, free.get(name, ""))
        for name in made
    ]
    return FieldResults(
        domain=domain,
        budget=matrix.network_calls(domain),
        main_steps=matrix.main_steps(domain),
        metrics=_shown(matrix, domain, [entry.evaluation for entry in entries]),
        entries=entries,
        missing=[name for name in run.sets if name not in made],
        obstacles=_obstacles(of_field),
    )


def _obstacles(of_field: list[Cell]) -> list[tuple[str, str]]:
    """Return (cell, reason) of those that can't be trained; all steps of an objective are one."""
    every, hindered = defaultdict(set), defaultdict(set)
    for cell in of_field:
        label = cell.variation or cell.objective
        every[label].add(cell.steps)
        if cell.obstacle:
            hindered[label, cell.obstacle].add(cell.steps)
    found = []
    for (label, reason), steps in hindered.items():
        which = "" if steps == every[label] else f", steps: {', '.join(map(str, sorted(steps)))}"
        found.append((label + which, reason))
    return found


def _student(directory: Path, cell: Cell) -> Entry:
    """Return the results of a cell."""
    from domains.evaluation.matrix.results import Entry
    from domains.evaluation.statistics.sets import read_set
    from domains.evaluation.statistics.trainings import read_training

    found = read_set(directory / "evaluation" / cell.name)
    log = directory / "state" / cell.name / "log.csv"
    training = read_training(log, directory / f"benchmarks/distill_{cell.name}.jsonl")
    return Entry(cell.objective, cell.variation, cell.steps, cell.seed, found, training)


def _compared(path: Path, line: str) -> Entry:
    """Return a set that no training was needed for."""
    from domains.evaluation.matrix.results import Entry
    from domains.evaluation.statistics.sets import read_set

    found = read_set(path)
    steps = found.number("steps")
    if not steps.is_integer():
        raise FewstepError(f"{path / 'set.json'} has no steps", do="Run the evaluate stage again")
    return Entry(line, "", int(steps), None, found)


def _shown(matrix: MatrixConfig, domain: str, found: list[EvaluationSet]) -> dict[str, Metric]:
    """Return the measures that the page shows: those that are asked for, or have a direction."""
    from domains.evaluation.statistics.sets import all_metrics

    measured = all_metrics(found, field_settings(domain).load_metrics())
    asked = matrix.domains[domain].measures
    if unknown := [name for name in asked if found and name not in measured]:
        raise FewstepError(
            f"domains.{domain}.measures: nothing was measured as {unknown[0]!r}",
            expected=f"one of {sorted(measured)}",
        )
    directed = [name for name, metric in measured.items() if metric.better != "none"]
    return {name: measured[name] for name in (asked or directed) if name in measured}
