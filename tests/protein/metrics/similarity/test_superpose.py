"""Contract: fits are proper rotations and equal the reference program's and TM-align's.

Mirror images never fit; residues outside the mask change nothing.
"""

from pathlib import Path

import numpy as np
import pytest

from domains.errors import FewstepError
from domains.protein.metrics.geometry.decoys import build, coil, globule
from domains.protein.metrics.similarity.superpose import kabsch, rmsd, superpose, tm_scale, tm_score


def turned(points: np.ndarray, seed: int = 0) -> np.ndarray:
    turn = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))[0]
    turn[0] *= np.linalg.det(turn)
    return points @ turn.T + np.array([3.0, -2.0, 1.0])


def drifted(points: np.ndarray, scale: float, seed: int = 0) -> np.ndarray:
    """Return the chain with errors that add up along it, as real models have them."""
    return points + np.cumsum(np.random.default_rng(seed).normal(0, scale, points.shape), 0)


def test_kabsch_equals_the_reference(golden: Path) -> None:
    file = np.load(golden / "protein" / "misc" / "primitives.npz")
    parts = [file[f"kabsch_{name}"] for name in ("mobile", "target", "mask", "out")]
    for mobile, target, mask, expected in zip(*parts, strict=True):
        np.testing.assert_allclose(superpose(mobile, target, mask), expected, atol=2e-6)


@pytest.mark.parametrize("seed", range(4))
def test_a_moved_chain_comes_back(seed: int) -> None:
    chain = globule(40, np.random.default_rng(seed))
    np.testing.assert_allclose(superpose(turned(chain, seed), chain), chain, atol=1e-9)
    assert rmsd(turned(chain, seed), chain) < 1e-9
    assert tm_score(turned(chain, seed), chain) == pytest.approx(1.0)


def test_the_fit_is_a_proper_rotation_and_the_best_one() -> None:
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(2, 6, 20, 3))
    turn, shift = kabsch(x, y * np.array([1.0, 1.0, -1.0]), np.ones((6, 20)))
    np.testing.assert_allclose(np.linalg.det(turn), 1.0)
    np.testing.assert_allclose(
        turn @ turn.swapaxes(-1, -2), np.eye(3)[None].repeat(6, 0), atol=1e-9
    )
    best = ((x @ turn.swapaxes(-1, -2) + shift[:, None] - y * [1, 1, -1]) ** 2).sum((1, 2))
    for seed in range(20):
        near = np.linalg.qr(np.eye(3) + 0.05 * np.random.default_rng(seed).normal(size=(3, 3)))[0]
        near *= np.sign(np.diag(near))
        other = x @ (turn @ near).swapaxes(-1, -2) + shift[:, None]
        assert (((other - y * [1, 1, -1]) ** 2).sum((1, 2)) >= best - 1e-9).all()


def test_a_mirror_image_does_not_fit() -> None:
    helix = build(np.full(38, 91.0), np.full(37, 50.0))
    mirror = helix * np.array([1.0, 1.0, -1.0])
    assert rmsd(mirror, helix) > 0.2
    assert tm_score(mirror, helix) < 0.8


def test_flat_chains_have_a_fit() -> None:
    line = np.arange(12)[:, None] * np.array([0.38, 0.0, 0.0])
    assert rmsd(turned(line), line) < 1e-9


def test_residues_outside_the_mask_change_nothing() -> None:
    chain = coil(30, np.random.default_rng(2))
    other = drifted(chain, 0.05)
    mask = np.arange(30) < 22
    wild = np.where(mask[:, None], other, np.nan)
    for measure in (rmsd, tm_score):
        assert measure(wild, chain, mask) == pytest.approx(measure(other[:22], chain[:22]))
    assert (superpose(wild, chain, mask)[~mask] == 0).all()


def test_rmsd_of_a_known_displacement() -> None:
    x = np.array([[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 0, -1], [-1, 0, 0], [0, -1, 0]])
    stretched = x * 1.5
    assert rmsd(stretched, x) == pytest.approx(0.5 * np.sqrt(6 / 7))


def test_tm_scale_is_the_published_one() -> None:
    assert tm_scale(100) == pytest.approx(0.124 * 85 ** (1 / 3) - 0.18)
    assert tm_scale(10) == tm_scale(18) == 0.05


def test_the_tm_score_finds_the_domain_that_fits() -> None:
    """Two rigid halves far apart: each fits alone, which one global fit can't show."""
    chain = globule(80, np.random.default_rng(3))
    broken = chain.copy()
    broken[40:] = turned(chain[40:], seed=5)
    assert 0.5 <= tm_score(broken, chain) < 0.8
    assert rmsd(broken, chain) > 0.5


@pytest.mark.parametrize("length", [12, 30, 80, 150])
@pytest.mark.parametrize("scale", [0.01, 0.05, 0.15])
def test_the_tm_score_equals_tm_align_on_the_given_alignment(length: int, scale: float) -> None:
    tmtools = pytest.importorskip("tmtools")
    chain = globule(length, np.random.default_rng(length))
    other = drifted(chain, scale)
    names = "A" * length
    expected = tmtools.tm_align(other * 10, chain * 10, names, names, alignment=[names, names])
    assert tm_score(other, chain) == pytest.approx(expected.tm_norm_chain1, abs=0.01)


def test_broken_or_unequal_chains_are_refused() -> None:
    chain = coil(20, np.random.default_rng(4))
    broken = chain.copy()
    broken[0] = np.nan
    for measure in (rmsd, tm_score, superpose):
        with pytest.raises(FewstepError, match="not finite"):
            measure(broken, chain)
        with pytest.raises(FewstepError, match="least 3"):
            measure(chain, chain, np.arange(20) < 2)
