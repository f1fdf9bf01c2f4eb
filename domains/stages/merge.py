"""Stage: put the tables of a set's shards together, row by row."""

import csv
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from domains.config import load_config
from domains.errors import FewstepError

__all__ = ["merge"]


def merge(
    config: Path,
    set_name: str,
    samples: Path,
    output: Path,
    skipped: Path,
    model: Path | None = None,
) -> None:
    """Merge the tables of a set's shards; memory does not grow with the set.

    Args:
        config: Run configuration (YAML).
        set_name: Which of its sets.
        samples: Directory of the set's shards.
        output: One row per sample, with its shard; files by their path from the shards' directory.
        skipped: One row per sample that could not be made, with the reason; maybe none.
        model: Directory of the set's model, to make sure that the samples are its own.

    Raises:
        FewstepError: A shard's table is damaged; the shard is set aside. Or a shard is of another
            run, set or model, or there is something else in its place, which stays there.
    """
    settings = load_config(config)

    from domains.stages.shard_identity import check_identities
    from domains.stages.shard_index import INDEX, SKIPPED, check_owned

    parts = settings.plan(set_name).parts
    shards = {samples / f"shard_{k:04d}": part for k, part in enumerate(parts)}
    for shard in shards:  # all of them before any is moved
        check_owned(shard)
    check_identities(shards, settings, set_name, model)
    with ExitStack() as stack:
        writers = {
            name: _writer(stack, path, name) for name, path in ((INDEX, output), (SKIPPED, skipped))
        }
        for shard, numbers in shards.items():
            for name, rows in _tables(shard, numbers).items():
                writers[name].writerows([*row, shard.name] for row in rows)


def _writer(stack: ExitStack, path: Path, name: str) -> Any:
    """Open a merged table, which is there once all that is in the stack went well."""
    from domains.files.provenance import atomic_path
    from domains.stages.shard_index import COLUMNS

    temporary = stack.enter_context(atomic_path(path))
    stream = stack.enter_context(temporary.open("w", newline="", encoding="utf-8"))
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow([*COLUMNS[name], "shard"])
    return writer


def _tables(shard: Path, numbers: range) -> dict[str, list[list[str]]]:
    """Return the rows of a shard's tables, with files named from the shards' directory."""
    from domains.stages.shard_index import COLUMNS, INDEX, read_tables, set_aside

    try:
        tables = read_tables(shard, numbers)
    except FewstepError as error:
        if shard.exists():
            set_aside(shard)
        raise FewstepError(str(error), do=_AGAIN) from error
    file = COLUMNS[INDEX].index("file")
    for row in tables[INDEX]:
        row[file] = f"{shard.name}/{row[file]}"
    return tables


_AGAIN = "The shard is now in *.damaged; run the workflow again: only it is sampled again"
