"""Stage: put the tables of a set's shards together, row by row."""

import csv
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

from domains.config import load_config
from domains.errors import FewstepError

__all__ = ["merge"]


def merge(
    config: Path, samples: Path, output: Path, skipped: Path, set_name: str | None = None
) -> None:
    """Merge the tables of a set's shards; memory does not grow with the set.

    Args:
        config: Run configuration (YAML).
        samples: Directory of the set's shards.
        output: One row per sample, with its shard; files by their path from the shards' directory.
        skipped: One row per sample that could not be made, with the reason; maybe none.
        set_name: Which of the run's sets; needed for one of files, whose shards are its own.

    Raises:
        FewstepError: A shard's table is not of its samples; the shard is set aside. Or there is
            something else in a shard's place, which stays there.
    """
    from domains.stages.shard_index import INDEX, SKIPPED, check_owned

    settings = load_config(config)
    plan = settings.plan(set_name) if set_name else settings.generate
    parts = (range(*ends) for ends in pairwise((0, *plan.ends)))
    shards = {samples / f"shard_{k:04d}": part for k, part in enumerate(parts)}
    for shard in shards:  # all of them before any is moved
        check_owned(shard)
    _write(output, shards, INDEX)
    _write(skipped, {s: r for s, r in shards.items() if (s / SKIPPED).exists()}, SKIPPED)


def _write(path: Path, shards: dict[Path, range], name: str) -> None:
    """Write the tables called ``name`` as one."""
    from domains.files.provenance import atomic_path
    from domains.stages.shard_index import COLUMNS

    with (
        atomic_path(path) as temporary,
        temporary.open("w", newline="", encoding="utf-8") as stream,
    ):
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow([*COLUMNS[name], "shard"])
        for shard, numbers in shards.items():
            with _set_aside_if_wrong(shard):
                writer.writerows(_rows(shard, name, COLUMNS[name], numbers))


@contextmanager
def _set_aside_if_wrong(shard: Path) -> Iterator[None]:
    from domains.stages.shard_index import set_aside

    try:
        yield
    except FewstepError:
        if shard.exists():
            set_aside(shard)
        raise


def _rows(shard: Path, name: str, columns: tuple[str, ...], numbers: range) -> Iterator[list[str]]:
    """Yield the rows of a shard's table, which are to be of these samples."""
    from domains.files.regular import check_regular

    try:
        check_regular(shard / name)
        with (shard / name).open(newline="", encoding="utf-8") as stream:
            table = csv.reader(stream, strict=True)
            header = next(table, [])
            if tuple(header) != columns:
                got = ", ".join(header) or "an empty file"
                raise _wrong(shard / name, ", ".join(columns), got)
            file = columns.index("file") if "file" in columns else None
            left = set(numbers)
            for row in table:
                left.remove(_number(row, columns, left, shard / name))
                if file is not None:
                    row[file] = f"{shard.name}/{row[file]}"
                yield [*row, shard.name]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise FewstepError(f"can't read {shard / name}", got=error, do=_AGAIN) from error


def _number(row: list[str], columns: tuple[str, ...], left: set[int], path: Path) -> int:
    """Return the number of a row's sample: one of the shard's, for the first time."""
    from domains.stages.shard_index import check_row

    expected = f"{len(columns)} values, the first one a sample of the shard not yet listed"
    try:
        check_row(dict(zip(columns, row, strict=True)))
        if int(row[0]) in left:
            return int(row[0])
    except ValueError as error:
        raise _wrong(path, expected, f"{','.join(row)[:200]}: {error}") from error
    raise _wrong(path, expected, ",".join(row))


def _wrong(path: Path, expected: str, got: str) -> FewstepError:
    return FewstepError(f"{path} is no table of this shard", expected=expected, got=got, do=_AGAIN)


_AGAIN = "The shard is now in *.damaged; run the workflow again: only it is sampled again"
