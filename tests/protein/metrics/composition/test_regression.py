"""Contract: an excess is what composition does not explain, and natives have none on average."""

import numpy as np
import pytest

from domains.errors import FewstepError
from domains.protein.metrics.composition.regression import NativeFit, Regression, load_fit


def natives(count: int, seed: int = 0) -> np.ndarray:
    """Make compositions [n, 3]: helix, strand, residues."""
    rng = np.random.default_rng(seed)
    shares = rng.dirichlet([2, 1, 2], size=count)[:, :2]
    return np.column_stack([shares, rng.integers(40, 131, size=count)])


def law(composition: np.ndarray) -> np.ndarray:
    helix, strand, length = composition.T
    return 3 - helix + 2 * strand**2 + helix * strand - 0.5 * np.log(length)


def test_what_composition_decides_leaves_nothing() -> None:
    composition = natives(100)
    fit = Regression.fit(law(composition), composition)
    others = natives(50, seed=1)
    assert fit.excess(law(others), others) == pytest.approx(np.zeros(50), abs=1e-9)
    assert fit.excess(law(others) + 0.3, others) == pytest.approx(np.full(50, 0.3))
    assert fit.spread < 1e-9


def test_natives_have_no_excess_on_average_and_none_that_follows_composition() -> None:
    rng, composition = np.random.default_rng(2), natives(300)
    values = law(composition) + rng.normal(scale=0.2, size=300)
    fit = Regression.fit(values, composition)
    excess = fit.excess(values, composition)
    assert excess.mean() == pytest.approx(0, abs=1e-9)
    for share in composition[:, :2].T:
        assert np.corrcoef(excess, share)[0, 1] == pytest.approx(0, abs=1e-9)
    assert fit.spread == pytest.approx(0.2, rel=0.15)


def test_values_that_are_unknown_stay_so() -> None:
    composition = natives(100)
    values = law(composition)
    values[::4] = np.nan
    fit = Regression.fit(values, composition)
    assert np.isnan(fit.excess(values, composition)[::4]).all()
    composition[1, 0] = np.nan
    assert np.isnan(fit.excess(values, composition)[1])
    with pytest.raises(FewstepError, match="69"):
        Regression.fit(values[np.isfinite(values)][:69], natives(69))


def test_lengths_that_no_native_has_are_not_judged() -> None:
    composition = natives(100)
    regression = Regression.fit(law(composition), composition)
    fit = NativeFit((40, 130), {"x": regression}, regression, {}, 0.0)
    lengths = np.array([[0.3, 0.2, n] for n in (39, 40, 130, 131)])
    known = np.isfinite(fit.excess("x", law(lengths), lengths))
    assert known.tolist() == [False, True, True, False]


def test_the_bundled_fit_knows_its_measures() -> None:
    fit = load_fit()
    assert "cross_nll" in fit.regressions and set(fit.weights) < set(fit.regressions)
    assert all(one.spread > 0 for one in fit.regressions.values())
