"""Contract: natives are nearest to natives; what lacks strands, or is helices only, is farther."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch

from domains.batch import Request, Sample
from domains.errors import FewstepError
from domains.protein.conditions.folds import condition_of
from domains.protein.data.dataset import load_domains
from domains.protein.metrics.designability.proxy import Proxy
from domains.protein.metrics.geometry.secondary_structure import describe
from domains.protein.metrics.nearness import matched, nearness_to

TRAIN = load_domains().subset("train", 60, 80)


def samples_of(chains: list[np.ndarray]) -> list[Sample]:
    return [Sample(str(k), torch.from_numpy(chain)) for k, chain in enumerate(chains)]


def asked(count: int, size: int = 70, code: str | None = None) -> list[Request]:
    return [Request(str(k), size, condition_of(code)) for k in range(count)]


@dataclass(frozen=True)
class Known(Proxy):
    """A cross NLL that falls with helix content, as ProteinMPNN's does."""

    designer: None = None
    scorer: None = None
    shift: float = 0.0

    def cross_nll(self, points: np.ndarray, seed: int = 0) -> float:
        return 1.5 - 0.4 * float(describe(points)["helix"]) + self.shift


def helical(count: int) -> list[np.ndarray]:
    """The domains of most helix."""
    chains = [np.asarray(TRAIN.points(k), dtype=np.float64) for k in range(300)]
    return sorted(chains, key=lambda chain: -float(describe(chain)["helix"]))[:count]


def test_other_natives_are_nearer_than_bundles_of_helices() -> None:
    compare = nearness_to(matched(TRAIN, asked(40), seed=0), Known())
    natives = compare(samples_of(matched(TRAIN, asked(40), seed=1)))
    bundles = compare(samples_of(helical(40)))
    assert bundles["cross_nll"] < natives["cross_nll"], "and yet they lose"
    assert bundles["distance"] > natives["distance"] + 0.5
    assert bundles["quality"] < natives["quality"] - 0.2


def test_a_cross_nll_above_the_natives_costs_and_one_below_is_no_merit() -> None:
    chains = matched(TRAIN, asked(20), seed=0)
    of_natives = nearness_to(chains, Known())
    same = of_natives(samples_of(chains))
    assert same["distance"] == pytest.approx(0, abs=1e-6)
    for shift, distance in ((-0.1, 0.0), (0.1, 0.1 / of_natives.deviation[2] / 3**0.5)):
        shifted = type(of_natives)(Known(shift=shift), of_natives.mean, of_natives.deviation)
        assert shifted(samples_of(chains))["distance"] == pytest.approx(distance, abs=1e-6)


def test_broken_bonds_cost_quality() -> None:
    chains = matched(TRAIN, asked(10), seed=0)
    compare = nearness_to(chains, Known())
    whole = compare(samples_of(chains))
    parted = [chain + 1.0 * (np.arange(len(chain)) >= len(chain) // 2)[:, None] for chain in chains]
    assert compare(samples_of(parted))["quality"] < whole["quality"]


def test_natives_are_of_the_lengths_asked_for_and_none_is_taken_twice() -> None:
    sizes = [60, 60, 70, 80, 80, 80]
    found = matched(TRAIN, [Request(str(k), n, {}) for k, n in enumerate(sizes)], seed=0)
    assert [len(chain) for chain in found] == sizes
    assert len({chain.tobytes() for chain in found}) == len(sizes)


def test_natives_are_of_the_class_asked_for() -> None:
    found = matched(TRAIN, asked(20, code="2.x.x.x"), seed=0)
    shares = [describe(chain) for chain in found]
    helix, strand = (np.mean([float(one[name]) for one in shares]) for name in ("helix", "strand"))
    assert strand > 2 * helix


def test_too_few_natives_of_a_class_are_refused() -> None:
    with pytest.raises(FewstepError, match="too few training domains"):
        matched(TRAIN, asked(100, code="4.x.x.x"), seed=0)


@pytest.mark.parametrize(("size", "warned"), [(70, False), (200, True)])
def test_lengths_that_no_native_has_are_said(
    size: int, warned: bool, caplog: pytest.LogCaptureFixture
) -> None:
    matched(TRAIN, asked(3, size), seed=0)
    assert ("3 of 3 samples have no native" in caplog.text) == warned
