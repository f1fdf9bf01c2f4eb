"""Shards of samples as `generate` leaves them, without samples: tables, and whose they are."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from domains.config import load_config
from domains.files.provenance import write_json
from domains.stages.shard_identity import IDENTITY, identity, with_tables
from domains.stages.shard_index import COLUMNS, INDEX, SKIPPED

__all__ = ["put_shard", "put_table", "row"]


def row(number: object, file: str) -> list[Any]:
    """Return a row of a table of samples."""
    return [number, 44, 0, 0.5, 8, 0.3, file, "digest"]


def put_table(path: Path, *rows: Sequence[object]) -> bytes:
    """Write a table; return its content."""
    stream = io.StringIO(newline="")
    csv.writer(stream).writerows(rows)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(stream.getvalue().encode())
    return path.read_bytes()


def put_shard(
    shard: Path,
    config: Path,
    numbers: range,
    made: Sequence[Sequence[object]],
    skipped: Sequence[Sequence[object]] = (),
    set_name: str = "naive",
    **facts: Any,
) -> None:
    """Write a shard's tables, with or without their headers, and whose they are."""
    tables = {INDEX: put_table(shard / INDEX, *_headed(INDEX, made))}
    (shard / SKIPPED).unlink(missing_ok=True)
    if skipped:
        tables[SKIPPED] = put_table(shard / SKIPPED, *_headed(SKIPPED, skipped))
    said = {**identity(load_config(config), set_name, numbers), **facts}
    write_json(shard / IDENTITY, with_tables(said, tables))


def _headed(name: str, rows: Sequence[Sequence[object]]) -> list[Sequence[object]]:
    header = [] if rows and "sample" in rows[0] else [COLUMNS[name]]
    return [*header, *rows]
