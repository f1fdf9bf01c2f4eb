"""Contract: a summary counts what it leaves out; a table comes back exactly or is refused."""

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from domains import __version__
from domains.errors import FewstepError
from domains.evaluation.statistics.bootstrap import Interval
from domains.evaluation.statistics.table import (
    SAMPLE,
    SUMMARY,
    Setting,
    read_table,
    set_row,
    summarise,
    write_table,
)

SETTING = Setting("demo", "field", "student", 8, 0.45, (0, 1))


def test_summary_has_one_row_per_metric() -> None:
    samples = pd.DataFrame({"clashes": [0, 1, 2, 5], "rg": [1.0, 1.5, 2.0, 2.5]})
    table = summarise(samples, ["rg", "clashes"], SETTING, {"rg": "ruler 1.0"}, seed=3)
    assert list(table.columns) == list(SUMMARY.columns)
    assert table["metric"].tolist() == ["rg", "clashes"]
    assert table["value"].tolist() == [1.75, 2.0]
    assert table["tool"].tolist() == ["ruler 1.0", f"fewstep {__version__}"]
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


def test_shares_have_a_width_where_all_agree() -> None:
    samples = pd.DataFrame({"passes": [0.0] * 32, "clashes": [0.0] * 32})
    table = summarise(samples, ["passes", "clashes"], SETTING, shares=("passes",))
    assert table["high"].round(3).tolist() == [0.107, 0.0]
    samples.loc[0, "clashes"] = np.nan
    lost = summarise(samples, ["clashes"], SETTING).set_index("metric").loc["clashes_undefined"]
    assert 0 < lost["low"] < lost["value"] == 1 / 32 < lost["high"] < 0.2


def test_what_was_not_drawn_is_not_undefined() -> None:
    samples = pd.DataFrame({"x": [1.0, np.nan, np.nan, 2.0]})
    drawn = {"x": np.array([True, False, True, True])}
    table = summarise(samples, ["x"], SETTING, drawn=drawn).set_index("metric")
    assert table.loc["x", "n"] == 2 and table.loc["x_undefined", "n"] == 3
    assert table.loc["x_undefined", "value"] == pytest.approx(1 / 3)


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


def test_a_table_of_other_columns_moves_aside(tmp_path: Path) -> None:
    path = tmp_path / "results.csv"
    path.write_text("mine,too\n1,2\n")
    for _ in range(2):
        write_table(path, summary(), SUMMARY)
    assert (tmp_path / "results.csv.other").read_text() == "mine,too\n1,2\n"
    assert len(list(tmp_path.iterdir())) == 2
