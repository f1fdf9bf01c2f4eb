"""Contract: cross NLL at equal composition is 0 for natives and 1 for wrong folds, with any helix.

The constants that come with the program are those of the study's table, and hold on its held-out
part.
"""

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from domains.protein.metrics.composition.regression import load_fit
from domains.protein.metrics.composition.relative_cross_nll import relative_cross_nll
from studies.derive_judges import fit
from studies.judge_tables import COMPOSITION, relative_table

DOCS = Path(__file__).parents[4] / "docs"
TABLE = DOCS / "results/evaluation/judges.csv"
SHEETS, MIXED, BUNDLES = [0.0, 0.4, 70.0], [0.3, 0.2, 70.0], [0.75, 0.0, 70.0]


@pytest.fixture(scope="module")
def chains() -> pd.DataFrame:
    return pd.read_csv(TABLE)


def at(composition: list[float], share: float) -> tuple[np.ndarray, np.ndarray]:
    """Return ten cross NLLs at a share of the way from natives to wrong folds."""
    rows, zero = np.tile(composition, (10, 1)), np.zeros(10)
    native, wrong = (
        -load_fit().excess("cross_nll", zero, rows),
        -load_fit().wrong.excess(zero, rows),
    )
    return native + share * (wrong - native), rows


@pytest.mark.parametrize("composition", [SHEETS, MIXED, BUNDLES])
@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_it_is_the_share_of_the_way(composition: list[float], share: float) -> None:
    found, count = relative_cross_nll(*at(composition, share), seed=0)
    assert found.value == pytest.approx(share) and count == 10


def test_a_wrong_bundle_has_a_lower_cross_nll_than_a_wrong_sheet() -> None:
    assert at(BUNDLES, 1)[0][0] < at(SHEETS, 1)[0][0] - 0.3


def test_what_is_unknown_is_left_out_and_bundles_alone_are_not_judged() -> None:
    values, rows = at(MIXED, 0.5)
    values[0], rows[1, 2], rows[2, 0] = math.nan, 400, math.nan
    found, count = relative_cross_nll(values, rows, seed=0)
    assert found.value == pytest.approx(0.5) and count == 7
    for values, rows in (at([0.95, 0.0, 70.0], 0.5), (np.zeros(0), np.zeros((0, 3)))):
        found, count = relative_cross_nll(values, rows, seed=0)
        assert math.isnan(found.value) and count == len(values)


def test_held_out_natives_are_at_0_and_wrong_folds_at_1(chains: pd.DataFrame) -> None:
    test = chains[chains.split == "test"]
    for kind, expected in (("native", 0), ("loops shuffled, compact", 1)):
        group = test[test.kind == kind]
        for rows in (group, group[group.helix < 0.4]):
            values = rows["cross_nll"].to_numpy(float)
            found, _ = relative_cross_nll(values, rows[COMPOSITION].to_numpy(float), seed=0)
            assert found.value == pytest.approx(expected, abs=0.1)


def test_the_constants_are_those_of_the_table(chains: pd.DataFrame) -> None:
    again, bundled = fit(chains[chains.split == "train"]), load_fit()
    assert again.lengths == bundled.lengths
    assert again.weights == pytest.approx(bundled.weights, abs=1e-3)
    assert again.intercept == pytest.approx(bundled.intercept, abs=1e-3)
    pairs = [(again.wrong, bundled.wrong)]
    pairs += [(again.regressions[name], bundled.regressions[name]) for name in bundled.regressions]
    for one, other in pairs:
        assert one.coefficients == pytest.approx(other.coefficients, abs=1e-6)
        assert one.spread == pytest.approx(other.spread)


def test_the_page_shows_what_the_constants_give(chains: pd.DataFrame) -> None:
    page = (DOCS / "explanation/equal_composition.md").read_text(encoding="utf-8")
    assert relative_table(chains[chains.split == "test"], load_fit()) in page
