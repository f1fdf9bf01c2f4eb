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

A row's name is the column ``run``, or the columns of ``key``, joined by "/". With a ``*`` it is
several rows of the CSV: their mean, and as far as their intervals reach together; a column
``{metric: seconds, of: median, times: 0.5}`` shows another statistic or unit. A list of names is
for cells of as many numbers, parted by "→" or " / ".
"""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

import pandas as pd
import yaml

__all__ = ["Table", "faults", "tables"]

_NUMBER = re.compile(r"-?\d*\.?\d+")
_BETWEEN = re.compile(r"→| / ")
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
    known = _known(table)
    if len(runs) != len(table.cells):
        return [f"{table.page}:{table.line}: {len(table.cells)} rows, {len(runs)} are named"]
    found = []
    for number, (run, row) in enumerate(zip(runs, table.cells, strict=True)):
        where = f"{table.page}:{table.line + 2 + number}"
        if len(row) != len(columns) + 1:
            found.append(f"{where}: {len(row) - 1} columns, {len(columns)} are named")
            continue
        for column, cell in zip(columns, row[1:], strict=True):
            if run is None or column is None:
                continue
            names, cells = (run, _BETWEEN.split(cell)) if isinstance(run, list) else ([run], [cell])
            shown = column if isinstance(column, dict) else {"metric": column}
            found += [f"{where}, {fault}" for fault in _of_cell(names, cells, shown, known)]
    return found


def _known(table: Table) -> pd.DataFrame:
    """Read a table's CSV files, with the rows' names in the column ``name``."""
    assert isinstance(table.said, dict)
    names = table.said["table"]
    files = [table.page.parent / name for name in ([names] if isinstance(names, str) else names)]
    known = pd.concat([pd.read_csv(file) for file in files])
    parts = known[table.said.get("key", ["run"])].astype(str)
    return known.assign(name=parts.agg("/".join, axis=1))


def _of_cell(
    names: list[str], cells: list[str], column: dict, known: pd.DataFrame
) -> Iterator[str]:
    """Yield the faults of a cell's parts, each of which is of one name."""
    if len(names) != len(cells):
        yield f"{column['metric']}: {len(cells)} parts, {len(names)} are named"
        return
    for name, cell in zip(names, cells, strict=True):
        for fault in _faults(cell.strip(), _truth(name, column, known)):
            yield f"{column['metric']}: {fault}"


def _truth(name: str, column: dict, known: pd.DataFrame) -> list[float]:
    """Return value, low and high as a column shows them; NaN where there are none."""
    rows = known[known["metric"] == column["metric"]]
    rows = rows[[fnmatchcase(one, name) for one in rows["name"]]]
    assert "*" in name or len(rows) <= 1, f"{name}, {column['metric']}: {len(rows)} rows"
    if rows.empty:
        return [math.nan] * 3
    value = rows["value"].agg(column.get("of", "mean"))
    return [
        number * column.get("times", 1) for number in (value, rows["low"].min(), rows["high"].max())
    ]


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
