"""Contract: intervals hold the truth as often as they say; NaN shows; tables are checked."""

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from domains.errors import FewstepError
from domains.evaluation.table import (
    SAMPLE,
    SUMMARY,
    Interval,
    Setting,
    bootstrap_interval,
    bootstrap_pairs,
    read_table,
    set_row,
    summarise,
    write_table,
)

SETTING = Setting("demo", "field", "student", 8, 0.45, (0, 1))


def off_diagonal(matrix: np.ndarray, chosen: np.ndarray) -> float:
    part = matrix[np.ix_(chosen, chosen)]
    return float(part[chosen[:, None] != chosen[None]].mean())


def test_the_interval_holds_the_mean_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    held = [
        low <= 3.0 <= high
        for _, low, high in (
            bootstrap_interval(rng.normal(3.0, 2.0, 50), seed=i, draws=300) for i in range(300)
        )
    ]
    # Three standard errors about the 94 % that percentiles reach at n = 50.
    assert 0.90 <= np.mean(held) <= 0.98


def test_the_interval_has_the_width_of_theory() -> None:
    values = np.random.default_rng(1).normal(0.0, 1.0, 400)
    value, low, high = bootstrap_interval(values, draws=4000)
    assert value == pytest.approx(values.mean())
    assert high - low == pytest.approx(2 * 1.96 * values.std() / 20, rel=0.06)
    _, narrow_low, narrow_high = bootstrap_interval(values, draws=4000, level=0.5)
    assert narrow_high - narrow_low == pytest.approx(2 * 0.674 * values.std() / 20, rel=0.08)


def test_any_statistic_and_the_seed() -> None:
    values = np.random.default_rng(2).exponential(size=60)
    first, again = (bootstrap_interval(values, np.median, seed=5) for _ in range(2))
    assert first == again
    assert first.value == np.median(values)
    assert first != bootstrap_interval(values, np.median, seed=6)


def test_agreement_gives_no_width_and_nothing_gives_nan() -> None:
    assert bootstrap_interval(np.ones(5)) == (1.0, 1.0, 1.0)
    assert all(math.isnan(part) for part in bootstrap_interval(np.array([])))


def test_a_bootstrap_refuses_nan_and_nonsense() -> None:
    with pytest.raises(FewstepError, match="1 of 2"):
        bootstrap_interval(np.array([1.0, np.nan]))
    for level, draws in ((1.0, 10), (0.0, 10), (0.95, 0)):
        with pytest.raises(FewstepError, match="level"):
            bootstrap_interval(np.ones(3), level=level, draws=draws)


def test_pairs_are_resampled_by_sample() -> None:
    """Pair (i, j) = x_i + x_j has mean 2 mu, so its interval must hold 2 mu 95 % of the time."""
    rng = np.random.default_rng(3)
    held, widths = [], []
    for i in range(150):
        x = rng.normal(1.0, 1.0, 30)
        value, low, high = bootstrap_pairs(x[:, None] + x[None], off_diagonal, seed=i, draws=200)
        assert value == pytest.approx(2 * x.mean())
        held.append(low <= 2.0 <= high)
        widths.append(high - low)
    assert 0.88 <= np.mean(held) <= 0.99
    # Pairs taken as independent would claim sqrt(2) / sqrt(435), 0.27 wide.
    assert np.mean(widths) == pytest.approx(2 * 1.96 * 2 / math.sqrt(30), rel=0.1)


def test_the_interval_of_a_biased_count_lies_around_its_value() -> None:
    def groups(matrix: np.ndarray, chosen: np.ndarray) -> float:
        return len(np.unique(matrix[chosen, 0])) / len(chosen)

    labels = np.repeat(np.arange(20.0), 2)[:, None] * np.ones((1, 40))
    value, low, high = bootstrap_pairs(labels, groups, bounds=(0.0, 1.0))
    assert value == 0.5
    assert 0.0 <= low < value < high <= 1.0


def test_summary_has_one_row_per_metric() -> None:
    samples = pd.DataFrame({"clashes": [0, 1, 2, 5], "rg": [1.0, 1.5, 2.0, 2.5]})
    table = summarise(samples, ["rg", "clashes"], SETTING, {"rg": "ruler 1.0"}, seed=3)
    assert list(table.columns) == list(SUMMARY.columns)
    assert table["metric"].tolist() == ["rg", "clashes"]
    assert table["value"].tolist() == [1.75, 2.0]
    assert table["tool"].tolist() == ["ruler 1.0", ""]
    low, value, high = table[["low", "value", "high"]].to_numpy(dtype=float).T
    assert (low < value).all()
    assert (value < high).all()
    first = table.iloc[0]
    assert (first["run"], first["steps"], first["noise_scale"]) == ("demo", 8, 0.45)
    assert (first["n"], first["seeds"]) == (4, "0 1")


def test_undefined_values_are_counted() -> None:
    samples = pd.DataFrame({"hand": [1.0, np.nan, 0.5, np.inf], "finite": [1.0, 1.0, 1.0, 0.0]})
    table = summarise(samples, ["hand", "finite"], SETTING).set_index("metric")
    assert table.loc["hand", "value"] == 0.75
    assert table.loc["hand", "n"] == 2
    assert table.loc["hand_undefined", "value"] == 0.5
    assert table.loc["hand_undefined", "n"] == 4
    assert table.loc["finite", "value"] == 0.75
    assert "finite_undefined" not in table.index


def test_a_metric_without_one_defined_value_stays_undefined() -> None:
    table = summarise(pd.DataFrame({"x": [np.nan, np.nan]}), ["x"], SETTING).set_index("metric")
    assert math.isnan(table.loc["x", "value"])
    assert table.loc["x", "n"] == 0
    assert table.loc["x_undefined", "value"] == 1.0


@pytest.mark.parametrize("column", ["missing", "name"])
def test_a_metric_must_be_a_column_of_numbers(column: str) -> None:
    with pytest.raises(FewstepError, match=column):
        summarise(pd.DataFrame({"name": ["a", "b"]}), [column], SETTING)


def summary() -> pd.DataFrame:
    rows = [
        set_row(SETTING, "clusters", Interval(0.1 + 0.2, 0.1, 1 / 3), 7, "tool 1"),
        set_row(
            Setting("NA", "field", "teacher", 400, math.nan, (0,)),
            "x",
            Interval(*[math.nan] * 3),
            0,
        ),
    ]
    return pd.DataFrame(rows)


def test_a_table_comes_back_exactly(tmp_path: Path) -> None:
    path = tmp_path / "new" / "summary.csv"
    write_table(path, summary(), SUMMARY)
    back = read_table(path, SUMMARY)
    pd.testing.assert_frame_equal(back, summary(), check_exact=True, check_dtype=False)
    assert back["run"].tolist() == ["demo", "NA"]
    assert [file.name for file in path.parent.iterdir()] == ["summary.csv"]


def test_sample_tables_take_further_columns(tmp_path: Path) -> None:
    keys = {"run": "a", "domain": "b", "role": "c", "steps": 1, "noise_scale": 1.0, "seed": 0}
    table = pd.DataFrame([{**keys, "sample": i, "rg": v} for i, v in enumerate([1.5, np.nan])])
    write_table(tmp_path / "samples.csv", table.iloc[:, ::-1], SAMPLE)
    back = read_table(tmp_path / "samples.csv", SAMPLE)
    assert list(back.columns)[: len(SAMPLE.columns)] == list(SAMPLE.columns)
    assert back["rg"].isna().tolist() == [False, True]


def test_a_table_that_does_not_fit_is_not_written(tmp_path: Path) -> None:
    path = tmp_path / "summary.csv"
    wrong = {
        "wrong columns": summary().drop(columns="low"),
        "wrong columns: expected": summary().assign(more=1),
        "column value": summary().assign(value="high"),
        "column n": summary().assign(n=1.5),
        "column metric": summary().assign(metric=np.nan),
    }
    for message, table in wrong.items():
        with pytest.raises(FewstepError, match=message):
            write_table(path, table, SUMMARY)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "summary.csv"
    with pytest.raises(FewstepError, match="can't read"):
        read_table(path, SUMMARY)
    for content in ("", "run,domain\na,b\n", '"run\na,b,c\n1,2,3,4\n'):
        path.write_text(content)
        with pytest.raises(FewstepError, match="summary"):
            read_table(path, SUMMARY)
    path.write_bytes(b"run\xff\xfe\x00")
    with pytest.raises(FewstepError, match="summary"):
        read_table(path, SUMMARY)
