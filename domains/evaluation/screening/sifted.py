"""Tables of samples that went through gates, a row for each sample: read row by row, checked."""

import csv
import math
from collections.abc import Iterator, Sequence
from pathlib import Path

from domains.errors import FewstepError
from domains.files.regular import check_regular

__all__ = ["FIRST", "gates_in", "header_of", "rows_of"]

# What a table begins with; then measures, seconds of each gate, and the designed sequences.
FIRST = ("sample", "shard", "file", "length", "sampling_seconds", "gate", "failed")
_SECONDS, _SAMPLING = "_seconds", "sampling_seconds"
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
        FewstepError: One can't be read, is cut off, or has a time that is none.
    """
    for path in tables:
        try:
            with path.open(newline="", encoding="utf-8") as stream:
                for row in csv.DictReader(stream, restkey="", strict=True):
                    _check(row)
                    yield row
        except (OSError, ValueError, csv.Error) as error:  # no UTF-8 is a ValueError
            raise FewstepError(f"{path} is damaged", got=error, do=_AGAIN) from error


def _check(row: dict[str, str]) -> None:
    if None in row.values() or "" in row:
        raise ValueError(f"the row of sample {row.get('sample')} has other columns")
    for name, value in row.items():
        if name.endswith(_SECONDS) and value and not 0 <= float(value) < math.inf:
            raise ValueError(f"{name} can't be {value[:40]!r}")
