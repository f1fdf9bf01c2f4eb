"""Tables of the documentation and the CSV files that their numbers are from.

A comment before a table says where each of its numbers is:

    <!-- numbers:
    table: results.csv
    columns: [seconds, helix]
    rows: [protein/teacher_40, protein/student_8]
    -->

Columns after the first, and rows, in their order; ``null`` holds no number of the CSV, and
``table`` may be several files. One whose numbers are in no CSV says so:
``<!-- numbers: in no CSV -->``.
"""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import yaml

__all__ = ["Table", "faults", "tables"]

_NUMBER = re.compile(r"-?\d*\.?\d+")
_COMMENT = re.compile(r"<!-- numbers:((?:(?!-->).)*)-->\s*\Z", re.S)


@dataclass(frozen=True)
class Table:
    """A table of a page.

    Args:
        page: The file that it is in.
        line: Where it begins, from 1.
        cells: Its rows, without the head.
        said: What the comment before it says; None where there is none.
    """

    page: Path
    line: int
    cells: list[list[str]]
    said: dict | str | None


def tables(page: Path) -> Iterator[Table]:
    """Find the tables of a page of Markdown."""
    text = page.read_text(encoding="utf-8")
    for found in re.finditer(r"(?:^\|.*\n)+", text, re.M):
        rows = [line.strip().strip("|").split("|") for line in found[0].splitlines()]
        comment = _COMMENT.search(text[: found.start()])
        said = yaml.safe_load(comment[1]) if comment else None
        cells = [[cell.strip() for cell in row] for row in rows[2:]]
        yield Table(page, text[: found.start()].count("\n") + 1, cells, said)


def faults(table: Table) -> list[str]:
    """Say which numbers of a table are not those of its CSV, as far as they are written out."""
    if not isinstance(table.said, dict):
        return []
    columns, runs = table.said["columns"], table.said["rows"]
    names = table.said["table"]
    files = [table.page.parent / name for name in ([names] if isinstance(names, str) else names)]
    known = pd.concat([pd.read_csv(file) for file in files])
    values = known.set_index(["run", "metric"])[["value", "low", "high"]]
    if len(runs) != len(table.cells):
        return [f"{table.page}:{table.line}: {len(table.cells)} rows, {len(runs)} are named"]
    found = []
    for number, (run, row) in enumerate(zip(runs, table.cells, strict=True)):
        where = f"{table.page}:{table.line + 2 + number}"
        if len(row) != len(columns) + 1:
            found.append(f"{where}: {len(row) - 1} columns, {len(columns)} are named")
            continue
        for metric, cell in zip(columns, row[1:], strict=True):
            if run is not None and metric is not None:
                there = (run, metric) in values.index
                truth = list(values.loc[(run, metric)]) if there else [math.nan] * 3
                found += [f"{where}, {metric}: {fault}" for fault in _faults(cell, truth)]
    return found


def _faults(cell: str, truth: list[float]) -> list[str]:
    """Compare what a cell shows, value or value [low, high], with the truth."""
    shown = _NUMBER.findall(cell.replace("−", "-"))
    if not shown:
        known = math.isfinite(truth[0])
        return [f"{cell!r} for {truth[0]:g}"] if known or cell != "–" else []
    if len(shown) not in (1, 3):
        return [f"{cell!r} is no value, nor one with its interval"]
    return [
        f"{text} for {value:g}"
        for text, value in zip(shown, truth, strict=False)
        if not abs(float(text) - value) <= (0.5 + 1e-6) * 10.0 ** -_decimals(text)
    ]


def _decimals(text: str) -> int:
    return len(text.partition(".")[2])
