"""Tables of results: tidy summaries with intervals, checked CSV files.

Two kinds of table. ``SAMPLE``: one row per sample, key columns first, then any measures.
``SUMMARY``: one row per measure of a set, with its interval.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float

from domains.errors import FewstepError
from domains.evaluation.statistics.bootstrap import Interval, bootstrap_interval
from domains.evaluation.statistics.shares import wilson
from domains.files.aside import make_way
from domains.files.provenance import atomic_path, named
from domains.files.regular import check_regular

__all__ = [
    "SAMPLE",
    "SUMMARY",
    "Interval",
    "Schema",
    "Setting",
    "bootstrap_interval",
    "read_table",
    "set_row",
    "summarise",
    "write_table",
]


Kind = Literal["text", "integer", "number"]
_AGAIN = "Run the stage that makes it again"


@dataclass(frozen=True)
class Schema:
    """Columns of a table and what they hold.

    Args:
        columns: Name to kind; ``number`` may be NaN, ``integer`` and ``text`` may not.
        extra: Whether further columns may follow.
    """

    columns: Mapping[str, Kind]
    extra: bool = False


_SETTING: dict[str, Kind] = {
    "run": "text",
    "domain": "text",
    "role": "text",
    "steps": "integer",
    "noise_scale": "number",
}
SAMPLE = Schema({**_SETTING, "seed": "integer", "sample": "integer"}, extra=True)
SUMMARY = Schema(
    {
        **_SETTING,
        "metric": "text",
        "value": "number",
        "low": "number",
        "high": "number",
        "n": "integer",
        "seeds": "text",
        "tool": "text",
    }
)


@dataclass(frozen=True)
class Setting:
    """Run, field, role and sampler of a set of samples, the same in each of its rows.

    Args:
        run: Name of the run.
        domain: Name of the field.
        role: ``teacher``, ``student`` or ``reference``.
        steps: Network evaluations per sample; 0 for real data.
        noise_scale: Of the sampler.
        seeds: Seeds that the samples were drawn with.
    """

    run: str
    domain: str
    role: str
    steps: int
    noise_scale: float
    seeds: tuple[int, ...]


def summarise(
    samples: pd.DataFrame,
    metrics: Sequence[str],
    setting: Setting,
    tools: Mapping[str, str] | None = None,
    seed: int = 0,
    draws: int = 1000,
    level: float = 0.95,
    shares: Collection[str] = (),
    drawn: Mapping[str, Bool[np.ndarray, " n"]] | None = None,
) -> pd.DataFrame:
    """Return the mean of each measure over a set, one ``SUMMARY`` row each.

    Values that are NaN or infinite leave the mean, never silently: ``n`` counts the values
    used, and a row ``<metric>_undefined`` gives the share left out whenever it isn't zero.

    Args:
        samples: One row per sample.
        metrics: Columns to summarise.
        setting: Run, field, role and sampler of the set.
        tools: Program and version behind a measure; this package where none is named.
        seed: Of the bootstrap.
        draws: Of the bootstrap.
        level: Of the intervals.
        shares: Columns of ones and zeros: their interval is Wilson's, that of all others is a
            bootstrap over samples.
        drawn: Rows that a measure is of, where it was not taken of all.

    Raises:
        FewstepError: A metric has no column, or a column that doesn't hold numbers.
    """
    rows = []
    for name in metrics:
        values = _numbers(samples, name)
        values = values[drawn[name]] if drawn and name in drawn else values
        defined = np.isfinite(values)
        tool = (tools or {}).get(name, "")
        if name in shares:
            kept = wilson(values[defined], level)
        else:
            kept = bootstrap_interval(values[defined], np.mean, seed, draws, level)
        rows.append(set_row(setting, name, kept, int(defined.sum()), tool))
        if not defined.all():
            lost = wilson((~defined).astype(float), level)
            rows.append(set_row(setting, f"{name}_undefined", lost, len(values), tool))
    return pd.DataFrame(rows, columns=list(SUMMARY.columns))


def set_row(
    setting: Setting, metric: str, interval: Interval, n: int, tool: str = ""
) -> dict[str, object]:
    """Return one ``SUMMARY`` row, for measures of a whole set such as its diversity.

    Where no tool is named, the measure is this package's own.
    """
    facts = asdict(setting) | {"seeds": " ".join(map(str, setting.seeds))}
    row = {
        **facts,
        "metric": metric,
        **interval._asdict(),
        "n": n,
        "tool": tool or named("fewstep"),
    }
    return {name: row[name] for name in SUMMARY.columns}


def write_table(path: Path, table: pd.DataFrame, schema: Schema) -> None:
    """Write a table as CSV, atomically, all digits kept; what is none of its kind moves aside.

    Raises:
        FewstepError: The table doesn't fit the schema, or the file can't be written.
    """
    checked = _checked(table, schema, "the table")
    make_way(path, ",".join([*schema.columns][:3]) + ",")
    with atomic_path(path) as temporary:
        checked.to_csv(temporary, index=False, encoding="utf-8")


def read_table(path: Path, schema: Schema) -> pd.DataFrame:
    """Read a CSV file and check its columns and kinds.

    Raises:
        FewstepError: The file is missing, isn't CSV, or doesn't fit the schema.
    """
    text = [name for name, kind in schema.columns.items() if kind == "text"]
    try:
        check_regular(path)
        names = pd.read_csv(path, nrows=0).columns
        # Only numbers have missing values: a run called "NA" stays a name.
        missing = {name: ["", "nan", "NaN"] for name in names if name not in text}
        table = pd.read_csv(
            path,
            dtype=dict.fromkeys(text, str),
            keep_default_na=False,
            na_values=missing,
        )
    except FileNotFoundError:
        raise FewstepError(
            f"can't read the table {path}",
            got="it is missing",
            do="Run the stage that makes it first",
        ) from None
    except (OSError, ValueError, OverflowError) as error:  # pandas' own errors are ValueErrors
        raise FewstepError(f"can't read the table {path}", got=error, do=_AGAIN) from error
    return _checked(table, schema, str(path))


def _numbers(samples: pd.DataFrame, name: str) -> Float[np.ndarray, " n"]:
    """Return a column as numbers."""
    if name not in samples:
        raise FewstepError(f"no column {name}", expected=f"one of {sorted(samples.columns)}")
    try:
        return np.asarray(samples[name], dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise FewstepError(f"column {name} doesn't hold numbers", got=error) from error


def _checked(table: pd.DataFrame, schema: Schema, where: str) -> pd.DataFrame:
    """Return the table with its columns in order, or say what doesn't fit."""
    wanted, found = list(schema.columns), list(table.columns)
    others = [name for name in found if name not in schema.columns]
    lost = [name for name in wanted if name not in found]
    if lost or len(set(found)) != len(found) or (others and not schema.extra):
        raise FewstepError(
            f"{where} has the wrong columns",
            expected=f"{', '.join(wanted)}{' and others' if schema.extra else ''}",
            got=", ".join(found) or "none",
            do=_AGAIN,
        )
    for name, kind in schema.columns.items():
        if not _fits(table.loc[:, name], kind):
            raise FewstepError(
                f"{where} has a wrong value in column {name}",
                expected=f"{kind} in each row",
                got=table[name].head(3).tolist(),
                do=_AGAIN,
            )
    return table.loc[:, wanted + others]


def _fits(column: pd.Series, kind: Kind) -> bool:
    """Return whether every value is of the kind; an empty column is."""
    if not len(column):
        return True
    if kind == "text":
        return all(isinstance(value, str) for value in column)
    if kind == "integer":
        return pd.api.types.is_integer_dtype(column)
    return pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)
