"""A shard's table: what it lists, whether it is true, and whose the directory is."""

from __future__ import annotations

import csv
import math
import re
from pathlib import Path
from typing import Any

from domains.errors import FewstepError

__all__ = ["COLUMNS", "INDEX", "SKIPPED", "check_owned", "check_row", "read_index", "set_aside"]

INDEX, SKIPPED = "index.csv", "skipped.csv"
COLUMNS = {
    INDEX: ("sample", "length", "seed", "seconds", "network_calls", "memory_gb", "file", "sha256"),
    SKIPPED: ("sample", "reason"),
}
# Of every version; earlier ones did not write down the memory.
_NEEDED = tuple(name for name in COLUMNS[INDEX] if name != "memory_gb")
_HEAD = b"sample,length,seed,"
_COUNT = re.compile("[0-9]{1,18}")
_SEED = re.compile("[0-9]{1,19}")
_NUMBER = re.compile(r"[0-9]{1,18}(\.[0-9]{0,18})?([eE][+-]?[0-9]{1,3})?")


def read_index(shard: Path, numbers: range | None = None) -> Any:
    """Read a shard's table and check that its files are the ones it lists.

    Args:
        shard: Directory of the shard.
        numbers: Samples that it may have; any if not given.

    Raises:
        FewstepError: The table or a file is missing or damaged; ``set_aside`` has the shard
            sampled again.
    """
    import pandas as pd

    from domains.files.provenance import sha256
    from domains.files.regular import check_regular

    try:
        check_regular(shard / INDEX)
        _check_rows(shard / INDEX, numbers)
        table = pd.read_csv(shard / INDEX)
        recorded = zip(table["file"], table["sha256"], strict=True)
        damaged = [file for file, digest in recorded if sha256(shard / file) != digest]
    except (OSError, ValueError, KeyError, TypeError, csv.Error) as error:
        raise FewstepError(f"shard {shard} is incomplete", got=error) from error
    if damaged:
        raise FewstepError(f"shard {shard} is damaged", got=damaged[0])
    return table


def _check_rows(index: Path, numbers: range | None) -> None:
    """Refuse a table with a value that no shard has.

    Raises:
        ValueError: It has one, lacks a column, or lists a sample twice.
    """
    with index.open(newline="", encoding="utf-8") as stream:
        table = csv.reader(stream, strict=True)
        header = next(table, [])
        if lost := [name for name in _NEEDED if name not in header]:
            raise ValueError(f"{INDEX} has no column {lost[0]}")
        seen: set[int] = set()
        for row in table:
            if len(row) != len(header):
                raise ValueError(f"{INDEX} has a row of {len(row)} values")
            values = dict(zip(header, row, strict=True))
            check_row(values)
            number = int(values["sample"])
            if number in seen or not (numbers is None or number in numbers):
                raise ValueError(f"{INDEX} lists sample {number}, twice or of another shard")
            seen.add(number)


def check_row(values: dict[str, str]) -> None:
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
