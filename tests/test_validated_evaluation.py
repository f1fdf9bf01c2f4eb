"""Contract: the page on what each metric tells shows its table's numbers, and all that it claims.

Every number has an interval, seeds, and a tool with its version.
"""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks.validate_evaluation import tables
from domains.evaluation.table import SUMMARY, read_table

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs/results/evaluation"


@pytest.fixture(scope="module")
def results() -> pd.DataFrame:
    return read_table(PAGE / "results.csv", SUMMARY)


def test_the_page_shows_the_tables_as_computed(results: pd.DataFrame) -> None:
    text = (PAGE / "README.md").read_text(encoding="utf-8")
    for table in tables(results).strip().split("\n\n"):
        assert table in text


def test_every_number_says_how_sure_and_by_what(results: pd.DataFrame) -> None:
    measured = results[np.isfinite(results["value"])]
    assert len(measured) > 250
    assert np.isfinite(measured[["low", "high"]]).all(axis=None)
    assert (measured["low"] <= measured["value"] + 1e-9).all()
    assert (measured["value"] <= measured["high"] + 1e-9).all()
    assert (measured["seeds"] != "").all()
    assert all(re.search(r"\d+\.\d+", tool) for tool in measured["tool"])


def value(results: pd.DataFrame, name: str, metric: str) -> tuple[float, float, float]:
    row = results[(results["run"] == f"evaluation/{name}") & (results["metric"] == metric)]
    return tuple(row.iloc[0][["value", "low", "high"]].astype(float))  # type: ignore[return-value]
