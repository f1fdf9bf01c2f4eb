"""Contract: the page on what each metric tells shows its table's numbers, and all that it claims.

Every number has an interval, seeds, and a tool with its version.
"""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from domains.evaluation.statistics.table import SUMMARY, read_table
from studies.validate_evaluation import tables

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
    assert len(measured) > 200
    assert np.isfinite(measured[["low", "high"]]).all(axis=None)
    assert (measured["low"] <= measured["value"] + 1e-9).all()
    assert (measured["value"] <= measured["high"] + 1e-9).all()
    assert (measured["seeds"] != "").all()
    assert all(re.search(r"\d+\.\d+", tool) for tool in measured["tool"])


def test_shuffled_labels_fall_to_chance(results: pd.DataFrame) -> None:
    """Of 48 natives 20, 13, 13 and 2 are of one class, so dealt labels agree for 32 %."""
    chance = (20**2 + 13**2 + 13**2 + 2**2) / 48**2
    for metric in ("asked_class", "asked_fold"):
        rows = results[results["metric"] == metric].set_index("run")
        natives, dealt = (rows.loc[f"evaluation/{name}"] for name in ("natives", "labels shuffled"))
        assert dealt["low"] < chance < dealt["high"] < natives["low"]
