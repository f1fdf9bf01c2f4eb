"""Contract: what is like a kept chain is found, whatever its place, pose and number."""

import numpy as np
import pytest
import torch
from protein.chains import helix, native
from scipy.spatial.transform import Rotation

from domains.batch import Sample
from domains.protein.metrics.similarity.tm_align import tm_align
from domains.protein.screening import distinct
from domains.protein.screening.distinct import GreedyDistinct
from domains.protein.screening.settings import DistinctGate


def sample(points: np.ndarray) -> Sample:
    return Sample("x", torch.from_numpy(points))


def kept(chains: list[np.ndarray], **settings: float) -> GreedyDistinct:
    gate = GreedyDistinct(DistinctGate.model_validate(settings))
    for chain in chains:
        gate.keep(sample(chain))
    return gate


def test_the_first_is_like_none() -> None:
    likeness, place = kept([]).nearest(sample(native()))
    assert np.isnan(likeness) and place == -1 and not kept([]).is_same(likeness)


@pytest.mark.parametrize("shortlist", [0, 3])
@pytest.mark.parametrize("block", [4, 64])
def test_a_moved_copy_is_found_among_many(
    monkeypatch: pytest.MonkeyPatch, shortlist: int, block: int
) -> None:
    monkeypatch.setattr(distinct, "_BLOCK", block)
    chains = [native(k, 50, 70) for k in range(10)]
    gate = kept(chains, shortlist=shortlist)
    turned = Rotation.from_euler("xyz", [1, 2, 3]).apply(chains[6]) + 5
    likeness, place = gate.nearest(sample(turned + np.random.default_rng(0).normal(0, 0.02, 1)))
    assert place == 6 and likeness > 0.95 and gate.is_same(likeness)


def test_others_are_told_apart_and_by_how_much() -> None:
    chains = [native(k, 60, 62) for k in range(4)]
    gate = kept(chains[:3], tm=0.9, shortlist=0)
    likeness, place = gate.nearest(sample(chains[3]))
    scores = [tm_align(chains[3], one, normalise="mean") for one in chains[:3]]
    assert not gate.is_same(likeness) and place == int(np.argmax(scores))
    assert likeness == pytest.approx(max(scores))


def test_what_length_alone_rules_out_is_not_aligned(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bound never hides a likeness above the threshold."""
    gate = kept([helix(30), helix(60)], tm=0.8, shortlist=0)
    asked: list[int] = []

    def counted(a: np.ndarray, b: np.ndarray, normalise: str) -> float:
        asked.append(len(b))
        return tm_align(a, b, normalise="mean")

    monkeypatch.setattr(distinct, "tm_align", counted)
    assert gate.nearest(sample(helix(28)))[1] == 0
    assert asked == [30]
    assert tm_align(helix(28), helix(60), normalise="mean") <= (1 + 28 / 60) / 2 + 1e-9
