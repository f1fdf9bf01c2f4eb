"""Contract: natives pass; each measure of each gate can turn a chain away, and says so."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from protein.chains import helix, native, screw, strand
from protein.designers import untrained_designers, untrained_proxy
from tiny_run import content

from domains.batch import Sample
from domains.config import parse_config
from domains.errors import FewstepError
from domains.protein.data.dataset import load_domains
from domains.protein.field import FIELD
from domains.protein.metrics.designability.gates import Gates
from domains.protein.metrics.designability.self_consistency import Designability, Fold
from domains.protein.screening.gates import Folds, Geometry, Novelty, SequenceFit
from domains.protein.screening.settings import DesignGate, GeometryGate, NoveltyGate


def sample(points: np.ndarray) -> Sample:
    return Sample("x", torch.from_numpy(points))


def clashing() -> np.ndarray:
    """A native whose last residues run back through the others."""
    chain = native(0).copy()
    chain[40:44] = chain[20:24] + 0.05
    return chain


def broken() -> np.ndarray:
    """A native with one gap of 2 nm."""
    chain = native(0).copy()
    chain[30:] += (chain[30] - chain[29]) / np.linalg.norm(chain[30] - chain[29]) * 1.62
    return chain


def not_finite() -> np.ndarray:
    chain = native(0).copy()
    chain[3, 1] = np.nan
    return chain


FAILING: dict[str, tuple[str, Callable[[], np.ndarray], dict[str, Any]]] = {
    "NaN": ("finite", not_finite, {}),
    "stretched": ("bond_fraction", lambda: 1.2 * native(0), {}),
    "a break": ("longest_step", broken, {"rg_ratio": (0, 9)}),
    "a clash": ("clashes", clashing, {"bond_fraction": 0, "longest_step": 9}),
    "a rod": ("rg_ratio", lambda: helix(60), {}),
    "too dense": ("rg_ratio", lambda: native(0), {"rg_ratio": (1.4, 1.6)}),
    "a mirror image": ("right_handed", lambda: screw(20, -100.0), {}),
    "too much helix": ("helix", lambda: helix(20), {"helix": (0, 0.5)}),
    "too little helix": ("helix", lambda: strand(12), {"helix": (0.1, 1), "rg_ratio": (0, 9)}),
    "too much strand": ("strand", lambda: strand(12), {"strand": (0, 0.3), "rg_ratio": (0, 9)}),
    "too much coil": ("coil", lambda: native(0), {"coil": (0, 0.1)}),
}


@pytest.mark.parametrize(("failed", "chain", "limits"), FAILING.values(), ids=FAILING)
def test_each_measure_of_geometry_turns_away(
    failed: str, chain: Callable[[], np.ndarray], limits: dict[str, Any]
) -> None:
    verdict = Geometry(GeometryGate(**limits)).judge(sample(chain()))
    assert verdict.failed == failed
    assert set(verdict.measures) == set(Geometry.columns)


def test_natives_pass_geometry() -> None:
    gate = Geometry(GeometryGate())
    failed = [gate.judge(sample(native(k, 50, 90))).failed for k in range(25)]
    assert failed.count("") >= 24, failed


def test_a_chain_without_helices_is_not_wrong_handed() -> None:
    verdict = Geometry(GeometryGate(rg_ratio=(0, 9))).judge(sample(strand(12)))
    assert np.isnan(verdict.measures["right_handed"]) and not verdict.failed


def test_the_defaults_are_the_proxys() -> None:
    limits, gates = GeometryGate(), Gates()
    assert (limits.bond_fraction, limits.right_handed) == (gates.bond_fraction, gates.right_handed)
    assert (limits.clashes, limits.rg_ratio) == (gates.clashes, (0, gates.rg_ratio))
    assert DesignGate().cross_nll == gates.cross_nll


def test_no_packed_domain_has_a_longer_step() -> None:
    domains = load_domains()
    steps = np.linalg.norm(np.diff(domains.coordinates, axis=0), axis=1)
    inside = np.ones(len(steps), dtype=bool)
    inside[np.cumsum(domains.lengths)[:-1] - 1] = False
    assert steps[inside].max() < GeometryGate().longest_step


def test_the_fit_of_a_sequence_turns_away_and_keeps_designs() -> None:
    proxy, chain = untrained_proxy(), sample(native(0, 40, 44))
    value = proxy.cross_nll(chain.points.numpy(), seed=3)
    for limit, failed in ((value + 1e-3, ""), (value - 1e-3, "cross_nll")):
        verdict = SequenceFit(DesignGate(cross_nll=limit), proxy, 3).judge(chain)
        assert verdict.failed == failed
        assert verdict.measures["cross_nll"] == pytest.approx(value)
    scores = [one.score for one in verdict.designs]
    assert len(scores) == proxy.count and scores == sorted(scores)
    assert np.mean(scores) == pytest.approx(value, rel=1e-5)
    assert {len(one.sequence) for one in verdict.designs} == {len(chain.points)}


class Moved:
    """A folding backend: the sample's own structure with a residue moved by so much (nm)."""

    name = "moved"

    def __init__(self, points: np.ndarray, by: float):
        self.points = points + by * np.eye(1, points.size).reshape(points.shape)

    def fold(self, sequences: list[str]) -> list[Fold]:
        return [Fold(self.points, 80.0) for _ in sequences]


def test_folding_turns_away_and_keeps_the_best_design() -> None:
    points = native(0, 40, 44)
    for by, failed in ((0.01, ""), (5.0, "sc_rmsd_nm")):
        judges = Designability(untrained_designers("a")[0], Moved(points, by), count=2)
        verdict = Folds(DesignGate(judge="folding"), judges, 0).judge(sample(points))
        assert verdict.failed == failed and len(verdict.designs) == 1
        assert verdict.designs[0].score == verdict.measures["sc_rmsd_nm"]


def test_novelty_turns_away_what_is_known() -> None:
    known = [native(k, 55, 70) for k in range(12)]
    gate = Novelty(NoveltyGate(shortlist=4), known)
    verdict = gate.judge(sample(known[5] + 1.0))
    assert verdict.failed == "novelty_tm" and verdict.measures["novelty_tm"] > 0.99
    new = gate.judge(sample(strand(60)))
    assert not new.failed and 0 < new.measures["novelty_tm"] < 0.5
    alone = gate.judge(sample(strand(20)))  # no reference has about its length
    assert not alone.failed and np.isnan(alone.measures["novelty_tm"])
    assert "4 of 12 training domains" in gate.tool


def test_the_field_builds_the_gates_that_are_asked_for(tmp_path: Path) -> None:
    screen = {"design": None, "novelty": {"tm": 0.6}, "distinct": None}
    run = parse_config(content(screen=screen))
    gates = FIELD.gates(run, None)
    assert [gate.name for gate in gates] == ["geometry", "novelty"]
    assert len(gates[1].references) == len(load_domains().subset("train"))  # type: ignore[attr-defined]
    assert FIELD.distinct(run) is None
    assert FIELD.distinct(parse_config(content(screen={}))) is not None


@pytest.mark.parametrize(
    ("screen", "words"),
    [
        (dict.fromkeys(("geometry", "design", "novelty", "distinct")), "there is no gate"),
        ({"geometry": {"helix": [0.5, 0.2]}}, "must not exceed"),
        ({"design": {"judge": "folding"}}, "needs evaluate.folding_model"),
        ({"sets": ["nobody"]}, "screen.sets names 'nobody'"),
        ({"distinct": {"tm": 1.0}}, "screen.distinct.tm"),
    ],
    ids=str,
)
def test_settings_that_can_not_be(screen: dict[str, Any], words: str) -> None:
    with pytest.raises(FewstepError, match=words):
        parse_config(content(screen=screen))


def test_scenes_have_no_gates() -> None:
    run = {"name": "x", "domain": "lidar", "teacher": "lidiff-mini", "data": {"path": "x"}}
    with pytest.raises(FewstepError, match="screen: the lidar field has no gates"):
        parse_config({**run, "generate": {"scenes": 1}, "sets": {}, "screen": {}})
