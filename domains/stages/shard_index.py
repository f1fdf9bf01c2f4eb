"""A shard's tables: what they list, whether it is true, and whose the directory is."""

from __future__ import annotations

import csv
import hashlib
import io
import math
import re
from pathlib import Path
from typing import Any

from domains.errors import FewstepError
from domains.stages.shard_identity import read_identity

__all__ = ["COLUMNS", "INDEX", "SKIPPED", "check_owned", "read_index", "read_tables", "set_aside"]

INDEX, SKIPPED = "index.csv", "skipped.csv"
COLUMNS = {
    INDEX: ("sample", "length", "seed", "seconds", "network_calls", "memory_gb", "file", "sha256"),
    SKIPPED: ("sample", "reason"),
}
_HEAD = b"sample,length,seed,"
_COUNT = re.compile("[0-9]{1,18}")
_SEED = re.compile("[0-9]{1,19}")
_NUMBER = re.compile(r"[0-9]{1,18}(\.[0-9]{0,18})?([eE][+-]?[0-9]{1,3})?")


def read_index(shard: Path, numbers: range | None = None) -> Any:
    """Read a shard's table of samples and check that its files are the ones it lists.

    Args:
        shard: Directory of the shard.
        numbers: Its samples; those that it names itself if not given.

    Raises:
        FewstepError: A table or a file is missing or damaged; ``set_aside`` has the shard
            sampled again.
    """
    import pandas as pd

    from domains.files.provenance import sha256

    read_tables(shard, numbers)
    try:
        table = pd.read_csv(shard / INDEX)
        recorded = zip(table["file"], table["sha256"], strict=True)
        damaged = [file for file, digest in recorded if sha256(shard / file) != digest]
    except (OSError, ValueError, TypeError) as error:
        raise _damaged(shard, error) from error
    if damaged:
        raise _damaged(shard, damaged[0])
    return table


def read_tables(shard: Path, numbers: range | None = None) -> dict[str, list[list[str]]]:
    """Return the rows of a shard's tables, by name, if these are whole and of its samples.

    Args:
        shard: Directory of the shard.
        numbers: Its samples, each of which is made or skipped, once; those that it names itself if
            not given.

    Raises:
        FewstepError: A table is missing, is not the one that was written, or says what can't be.
    """
    try:
        said = read_identity(shard)
        known = said["tables"]
        texts = {n: _content(shard / n) for n in COLUMNS if n in known or (shard / n).exists()}
        for name, text in texts.items():
            if hashlib.sha256(text).hexdigest() != known.get(name):
                raise ValueError(f"{name} is not the table that was written")
        rows = {name: _rows(name, texts.get(name, b"").decode("utf-8")) for name in COLUMNS}
        _check_numbers(rows, range(*said["samples"]) if numbers is None else numbers)
    except (OSError, ValueError, TypeError, KeyError, csv.Error) as error:
        raise _damaged(shard, error) from error
    return rows


def _content(path: Path) -> bytes:
    from domains.files.regular import check_regular

    check_regular(path)
    return path.read_bytes()


def _damaged(shard: Path, got: object) -> FewstepError:
    return FewstepError(f"shard {shard} is incomplete or damaged", got=got)


def _rows(name: str, text: str) -> list[list[str]]:
    """Return the rows of a table; none of a table that is not there and need not be."""
    header, *rows = list(csv.reader(io.StringIO(text, newline=""), strict=True)) or [[]]
    if tuple(header) != COLUMNS[name] and (text or name == INDEX):
        raise ValueError(f"{name} has the columns {', '.join(header) or 'none'}")
    for row in rows:
        if len(row) != len(header):
            raise ValueError(f"{name} has a row of {len(row)} values")
        _check_row(dict(zip(header, row, strict=True)))
    return rows


def _check_numbers(tables: dict[str, list[list[str]]], numbers: range) -> None:
    """Refuse tables that do not list each sample once, made or skipped."""
    left = set(numbers)
    for name, rows in tables.items():
        for row in rows:
            if int(row[0]) not in left:
                raise ValueError(f"{name} lists sample {row[0]}, twice or of another shard")
            left.remove(int(row[0]))
    if left:
        raise ValueError(f"sample {min(left)} is neither made nor skipped")


def _check_row(values: dict[str, str]) -> None:
    """Refuse a row of a shard's table that no sampling writes.

    Raises:
        ValueError: A value is of another kind; it is named.
    """
    for name, text in values.items():
        if not _fits(name, text):
            raise ValueError(f"{name} can't be {text[:80]!r}")


def _fits(name: str, text: str) -> bool:
    if name in ("sample", "length", "network_calls"):
        return _COUNT.fullmatch(text) is not None
    if name == "seed":
        return _SEED.fullmatch(text) is not None and int(text) < 2**63
    if name in ("seconds", "memory_gb"):
        return _NUMBER.fullmatch(text) is not None and math.isfinite(float(text))
    if name == "file":  # beside the table, and nowhere else
        return text == Path(text).name and text not in ("", ".", "..") and "\0" not in text
    return True


def check_owned(shard: Path) -> None:
    """Refuse what is in a shard's place and was not made by ``generate``: it is left as it is.

    Raises:
        FewstepError: It is a file, or a directory without a shard's table; or it is still made.
    """
    from domains.files.lock import holder_lives

    if not shard.exists():
        return
    got = "a file"
    if shard.is_dir():
        if _is_ours(shard / INDEX):
            return
        if holder_lives(shard):
            raise FewstepError(f"another run is at work in {shard}", do="Wait for it, or stop it")
        got = f"another {INDEX}" if (shard / INDEX).exists() else f"no {INDEX}"
    raise FewstepError(
        f"{shard} is no shard of samples",
        expected=f"a directory with the {INDEX} that generate writes",
        got=got,
        do="If it is one that was damaged, move it away and run the workflow again",
    )


def _is_ours(index: Path) -> bool:
    from domains.files.regular import check_regular

    try:
        check_regular(index)
        with index.open("rb") as stream:
            return stream.read(len(_HEAD)) == _HEAD
    except OSError:
        return False


def set_aside(shard: Path) -> None:
    """Rename a damaged shard, so that the workflow samples it again; earlier ones are kept.

    Raises:
        FewstepError: It is no shard, or another run is at work in it.
    """
    from domains.files.aside import put_aside
    from domains.files.lock import exclusive

    check_owned(shard)
    with exclusive(shard):
        put_aside(shard, "damaged")
