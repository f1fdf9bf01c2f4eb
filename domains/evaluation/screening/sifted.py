"""Tables of samples that went through gates, a row for each sample: read row by row, checked."""

import csv
import math
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from domains.errors import FewstepError
from domains.files.regular import check_regular

__all__ = ["FIRST", "gates_in", "header_of", "rows_of"]

# What a table begins with; then measures, seconds of each gate, and the designed sequences.
FIRST = ("sample", "shard", "file", "length", "sampling_seconds", "gate", "failed")
_SECONDS, _SAMPLING = "_seconds", "sampling_seconds"
_DESIGN = re.compile(r"[-+.0-9a-z]+:[A-Z]+")  # score and sequence
_AGAIN = "Delete it and run the workflow again: only this shard is sifted again"


def header_of(tables: Sequence[Path]) -> list[str]:
    """Return the columns of the tables.

    Raises:
        FewstepError: One is missing, none of ours, or has others than the first one.
    """
    found = [_header(path) for path in tables]
    for path, header in zip(tables, found, strict=True):
        if tuple(header[: len(FIRST)]) != FIRST or header != found[0]:
            raise FewstepError(
                f"{path} is no table of this screen",
                expected=", ".join(FIRST if header == found[0] else found[0])[:120],
                got=", ".join(header)[:120] or "an empty file",
                do=_AGAIN,
            )
    return found[0]


def _header(path: Path) -> list[str]:
    try:
        check_regular(path)
        with path.open(newline="", encoding="utf-8") as stream:
            return next(csv.reader(stream), [])
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise FewstepError(f"can't read {path}", got=error, do="Sift the shard first") from error


def gates_in(header: Sequence[str]) -> list[str]:
    """Return the names of the gates that a table is of, in their order."""
    timed = [name for name in header if name.endswith(_SECONDS) and name != _SAMPLING]
    return [name.removesuffix(_SECONDS) for name in timed]


def rows_of(tables: Sequence[Path]) -> Iterator[dict[str, str]]:
    """Yield the rows of the tables one after another.

    Raises:
        FewstepError: One can't be read, is cut off, or has a value that no sift writes.
    """
    for path in tables:
        try:
            with path.open(newline="", encoding="utf-8") as stream:
                table = csv.DictReader(stream, restkey="", strict=True)
                gates = gates_in(table.fieldnames or ())
                for row in table:
                    _check(row, gates)
                    yield row
        except (OSError, ValueError, csv.Error) as error:  # no UTF-8 is a ValueError
            raise FewstepError(f"{path} is damaged", got=error, do=_AGAIN) from error


def _check(row: dict[str, str], gates: Sequence[str]) -> None:
    """Refuse a row that no sift writes; files are beside the shard's table, and nowhere else.

    Raises:
        ValueError: A value is of another kind; it is named.
    """
    if None in row.values() or "" in row:
        raise ValueError(f"the row of sample {row.get('sample')} has other columns")
    for name in ("sample", "length"):
        if not row[name].isdecimal():
            raise ValueError(f"{name} can't be {row[name][:40]!r}")
    for name in ("shard", "file"):
        if row[name] != Path(row[name]).name or row[name] in ("", ".."):
            raise ValueError(f"{name} can't be {row[name][:40]!r}")
    if row["gate"] not in ("", *gates):
        raise ValueError(f"there is no gate {row['gate'][:40]!r}")
    seen = gates[: gates.index(row["gate"]) + 1] if row["gate"] else gates
    for name in (_SAMPLING, *(f"{gate}{_SECONDS}" for gate in seen)):
        if not 0 <= float(row[name]) < math.inf:
            raise ValueError(f"{name} can't be {row[name][:40]!r}")
    if not all(map(_DESIGN.fullmatch, row["designs"].split())):
        raise ValueError(f"designs can't be {row['designs'][:40]!r}")
