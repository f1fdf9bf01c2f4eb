"""Contract: the judge without a network tells held-out natives from decoys of equal composition."""

import math

import numpy as np
import pandas as pd
import pytest

from domains.protein.data.dataset import load_domains
from domains.protein.metrics.composition.nativeness import nativeness
from domains.protein.metrics.composition.regression import load_fit
from domains.protein.metrics.composition.tertiary import TERTIARY
from domains.protein.metrics.geometry import decoys
from studies.compact_decoys import loops_shuffled
from studies.derive_judges import describe
from studies.judge_tables import COMPOSITION, auc


def judged(chains: list[np.ndarray]) -> np.ndarray:
    table = pd.DataFrame([describe(chain) for chain in chains])
    statistics = {name: table[name].to_numpy(float) for name in TERTIARY}
    return nativeness(statistics, table[COMPOSITION].to_numpy(float))


@pytest.fixture(scope="module")
def natives() -> list[np.ndarray]:
    domains = load_domains().subset("test", 60, 75)
    return [np.array(domains.points(k), dtype=float) for k in range(24)]


@pytest.mark.parametrize(
    ("make", "least"),
    [(decoys.segment_shuffled, 0.85), (decoys.torsion_shuffled, 0.9), (loops_shuffled, 0.85)],
)
def test_natives_are_told_from_decoys(natives: list[np.ndarray], make, least: float) -> None:
    rng = np.random.default_rng(0)
    made = [make(chain, rng) for chain in natives[::2]]
    wrong = judged([chain for chain in made if chain is not None])
    good = judged(natives)
    assert len(wrong) >= 9 and auc(good, wrong) > least
    assert good.mean() > 0.75 and wrong.mean() < 0.4


def test_compact_decoys_have_the_composition_and_size_of_their_natives(
    natives: list[np.ndarray],
) -> None:
    rng = np.random.default_rng(1)
    pairs = [(chain, loops_shuffled(chain, rng)) for chain in natives[:6]]
    kept = [(describe(a), describe(b)) for a, b in pairs if b is not None]
    assert len(kept) >= 4
    for name, most in (("helix", 0.05), ("strand", 0.05), ("rg_ratio", 0.15)):
        change = [wrong[name] - good[name] for good, wrong in kept]
        assert abs(np.mean(change)) < most


def test_what_a_chain_cannot_have_counts_as_natives() -> None:
    nothing = {name: np.array([math.nan]) for name in TERTIARY}
    found = nativeness(nothing, np.array([[0.5, 0.0, 60.0]]))
    assert found[0] == pytest.approx(1 / (1 + math.exp(-load_fit().intercept)))


def test_broken_chains_and_strange_lengths_are_not_judged() -> None:
    nothing = {name: np.full(3, math.nan) for name in TERTIARY}
    composition = np.array([[math.nan, math.nan, 60.0], [0.5, 0.0, 20.0], [0.5, 0.0, 400.0]])
    assert np.isnan(nativeness(nothing, composition)).all()


def test_one_wild_statistic_is_bounded() -> None:
    """Five standard deviations are as wrong as any number of them."""
    composition = np.array([[0.3, 0.2, 60.0]])
    neutral = {name: np.array([math.nan]) for name in TERTIARY}
    values = [
        nativeness({**neutral, "close_contacts": np.array([many])}, composition)[0]
        for many in (1.0, 100.0)
    ]
    assert 0 < values[0] == values[1] < nativeness(neutral, composition)[0]
