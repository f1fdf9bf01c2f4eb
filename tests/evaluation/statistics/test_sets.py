"""Contract: a set comes back as it was written, or is refused; no value turns into a blank."""

from pathlib import Path

import pandas as pd
import pytest
from evaluation.report_files import write_set

from domains.errors import FewstepError
from domains.evaluation.statistics.sets import TIDY, read_set


def change(path: Path, name: str, **cells: object) -> None:
    """Write other cells in the first row of a table."""
    table = pd.read_csv(path / name, dtype=str, keep_default_na=False)
    for column, value in cells.items():
        table.loc[0, column] = value
    table.to_csv(path / name, index=False)


def test_a_name_that_looks_missing_stays_a_name(tmp_path: Path) -> None:
    path = write_set(tmp_path, "s", "student")
    change(path, "set.csv", run="NA", metric="null", tool="None", low="", high="nan")
    change(path, "samples.csv", size="", cath_code="NA")
    found = read_set(path)
    first = found.metrics.iloc[0]
    assert first[["run", "metric", "tool"]].tolist() == ["NA", "null", "None"]
    assert pd.isna(first[["low", "high"]]).all()
    assert found.samples["size"].isna().tolist() == [True] + [False] * 19
    assert found.samples["cath_code"].iloc[0] == "NA"


def test_a_set_may_say_more(tmp_path: Path) -> None:
    path = write_set(tmp_path, "d", "data", steps=None)
    change(path, "set.csv", note="by hand")
    assert read_set(path).metrics.columns.tolist() == [*TIDY, "note"]
    assert read_set(path).metrics["steps"].isna().all()


@pytest.mark.parametrize("column", ["value", "low", "n", "noise_scale"])
def test_text_is_no_number(tmp_path: Path, column: str) -> None:
    path = write_set(tmp_path, "s", "student")
    change(path, "set.csv", **{column: "abc"})
    with pytest.raises(FewstepError, match=f"set.csv has a wrong value in column {column}"):
        read_set(path)


@pytest.mark.parametrize("name", ["set.csv", "samples.csv"])
def test_what_is_no_table_is_one_line(tmp_path: Path, name: str) -> None:
    path = write_set(tmp_path, "s", "student")
    (path / name).write_text("")
    with pytest.raises(FewstepError, match=name) as raised:
        read_set(path)
    assert len(str(raised.value).splitlines()) == 1 and "again" in str(raised.value)


def test_a_missing_table_says_what_makes_it(tmp_path: Path) -> None:
    path = write_set(tmp_path, "s", "student")
    (path / "samples.csv").unlink()
    assert read_set(path).samples.empty
    (path / "set.csv").unlink()
    with pytest.raises(FewstepError, match=r"set\.csv: got it is missing\. Run the stage"):
        read_set(path)
