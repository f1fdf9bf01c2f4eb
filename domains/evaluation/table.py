"""Tables of results: bootstrap intervals, tidy summaries, checked CSV files.

Two kinds of table. ``SAMPLE``: one row per sample, key columns first, then any measures.
``SUMMARY``: one row per measure of a set, with its interval.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float, Int, Real

from domains.errors import FewstepError
from domains.provenance import atomic_path

__all__ = [
    "SAMPLE",
    "SUMMARY",
    "Interval",
    "Schema",
    "Setting",
    "bootstrap_interval",
    "bootstrap_pairs",
    "read_table",
    "set_row",
    "summarise",
    "write_table",
]


Kind = Literal["text", "integer", "number"]


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
    """What a set of samples was made with, the same in each of its rows.

    Args:
        run: Name of the run.
        domain: Name of the domain.
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


class Interval(NamedTuple):
    """A value and its confidence interval."""

    value: float
    low: float
    high: float


def bootstrap_interval(
    values: Real[np.ndarray, " n"],
    statistic: Callable[[Float[np.ndarray, " n"]], float] = np.mean,
    seed: int = 0,
    draws: int = 1000,
    level: float = 0.95,
) -> Interval:
    """Return a statistic and its percentile bootstrap interval (Efron 1979).

    The interval holds the luck of drawing these samples, not that of training again.
    When all values agree it has width 0, and below about 20 values it is too narrow.

    Args:
        values: Finite values, one per independent sample.
        statistic: Function of an array.
        seed: Of the draws; the same seed gives the same interval.
        draws: Number of resamples.
        level: Share of intervals that should hold the true value.

    Raises:
        FewstepError: A value isn't finite, or level or draws make no sense.
    """
    values = np.asarray(values, dtype=np.float64)
    if not np.isfinite(values).all():
        raise FewstepError(
            "a bootstrap got values that are not finite",
            got=f"{int((~np.isfinite(values)).sum())} of {len(values)}",
            do="Leave them out, and report their share",
        )
    return _resample(
        len(values), lambda chosen: float(statistic(values[chosen])), seed, draws, level
    )


def bootstrap_pairs(
    matrix: Float[np.ndarray, "n n"],
    statistic: Callable[[Float[np.ndarray, "n n"], Int[np.ndarray, " k"]], float],
    seed: int = 0,
    draws: int = 1000,
    level: float = 0.95,
    bounds: tuple[float, float] = (-math.inf, math.inf),
) -> Interval:
    """Return a statistic of pairs and its interval from resampling the *samples*.

    Pairs that share a sample are not independent, so samples are drawn, not pairs. A draw
    holds only about 63 % different samples, which shifts a count of groups; so the draws
    give the spread only, and the interval is laid around the value.

    Args:
        matrix: One number per pair, such as a similarity; computed once.
        statistic: Function of the matrix and of the drawn indices, with repeats.
        seed: Of the draws.
        draws: Number of resamples.
        level: Share of intervals that should hold the true value.
        bounds: Smallest and largest possible value; the interval is cut to them.
    """
    return _resample(
        len(matrix), lambda chosen: float(statistic(matrix, chosen)), seed, draws, level, bounds
    )


def summarise(
    samples: pd.DataFrame,
    metrics: Sequence[str],
    setting: Setting,
    tools: Mapping[str, str] | None = None,
    seed: int = 0,
    draws: int = 1000,
    level: float = 0.95,
) -> pd.DataFrame:
    """Return the mean of each measure over a set, one ``SUMMARY`` row each.

    Values that are NaN or infinite leave the mean, never silently: ``n`` counts the values
    used, and a row ``<metric>_undefined`` gives the share left out whenever it isn't zero.

    Args:
        samples: One row per sample.
        metrics: Columns to summarise.
        setting: What the set was made with.
        tools: Program and version behind a measure, where there is one.
        seed: Of the bootstrap.
        draws: Of the bootstrap.
        level: Of the intervals.

    Raises:
        FewstepError: A metric has no column, or a column that doesn't hold numbers.
    """
    rows = []
    for name in metrics:
        values = _numbers(samples, name)
        defined = np.isfinite(values)
        tool = (tools or {}).get(name, "")
        kept = bootstrap_interval(values[defined], np.mean, seed, draws, level)
        rows.append(set_row(setting, name, kept, int(defined.sum()), tool))
        if not defined.all():
            lost = bootstrap_interval((~defined).astype(float), np.mean, seed, draws, level)
            rows.append(set_row(setting, f"{name}_undefined", lost, len(values), tool))
    return pd.DataFrame(rows, columns=list(SUMMARY.columns))


def set_row(
    setting: Setting, metric: str, interval: Interval, n: int, tool: str = ""
) -> dict[str, object]:
    """Return one ``SUMMARY`` row, for measures of a whole set such as its diversity."""
    facts = asdict(setting) | {"seeds": " ".join(map(str, setting.seeds))}
    row = {**facts, "metric": metric, **interval._asdict(), "n": n, "tool": tool}
    return {name: row[name] for name in SUMMARY.columns}


def write_table(path: Path, table: pd.DataFrame, schema: Schema) -> None:
    """Write a table as CSV, atomically, all digits kept.

    Raises:
        FewstepError: The table doesn't fit the schema, or the file can't be written.
    """
    checked = _checked(table, schema, "the table")
    with atomic_path(path) as temporary:
        checked.to_csv(temporary, index=False, encoding="utf-8")


def read_table(path: Path, schema: Schema) -> pd.DataFrame:
    """Read a CSV file and check its columns and kinds.

    Raises:
        FewstepError: The file is missing, isn't CSV, or doesn't fit the schema.
    """
    text = [name for name, kind in schema.columns.items() if kind == "text"]
    try:
        names = pd.read_csv(path, nrows=0).columns
        # Only numbers have missing values: a run called "NA" stays a name.
        missing = {name: ["", "nan", "NaN"] for name in names if name not in text}
        table = pd.read_csv(
            path,
            dtype=dict.fromkeys(text, str),
            keep_default_na=False,
            na_values=missing,
        )
    except (OSError, UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise FewstepError(
            f"can't read the table {path}", got=error, do="Run the stage that makes it again"
        ) from error
    return _checked(table, schema, str(path))


def _resample(
    count: int,
    measure: Callable[[Int[np.ndarray, " k"]], float],
    seed: int,
    draws: int,
    level: float,
    bounds: tuple[float, float] | None = None,
) -> Interval:
    """Return a measure of indices and its bootstrap interval, centred when bounds are given."""
    if not 0 < level < 1 or draws < 1:
        raise FewstepError(
            "a bootstrap needs a level in (0, 1) and at least one draw", got=f"{level}, {draws}"
        )
    if not count:
        return Interval(math.nan, math.nan, math.nan)
    value = measure(np.arange(count))
    rng = np.random.default_rng(seed)
    drawn = np.array([measure(rng.integers(count, size=count)) for _ in range(draws)])
    drawn = drawn[np.isfinite(drawn)]
    if not len(drawn) or not math.isfinite(value):
        return Interval(value, math.nan, math.nan)
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    if bounds is not None:
        shift = value - drawn.mean()
        low, high = np.clip([low + shift, high + shift], *bounds)
    return Interval(value, float(low), float(high))


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
        )
    for name, kind in schema.columns.items():
        if not _fits(table.loc[:, name], kind):
            raise FewstepError(
                f"{where} has a wrong value in column {name}",
                expected=f"{kind} in each row",
                got=table[name].head(3).tolist(),
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
