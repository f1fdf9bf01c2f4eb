"""Contract: each decoy breaks what it says and keeps the rest; a seed repeats it exactly."""

import numpy as np
import pytest

from domains.errors import FewstepError
from domains.protein.metrics.geometry.chain import (
    bond_fraction,
    clashes,
    describe,
    dihedrals,
    rg_ratio,
)
from domains.protein.metrics.geometry.decoys import (
    build,
    coil,
    globule,
    mirrored,
    noised,
    segment_shuffled,
    torsion_perturbed,
    torsion_shuffled,
)
from domains.protein.metrics.similarity.superpose import rmsd


@pytest.fixture
def native() -> np.ndarray:
    """Helix, turn, helix: a chain with something to break."""
    torsions = np.concatenate([np.full(18, 50.0), np.linspace(-170, 60, 6), np.full(18, 50.0)])
    return build(np.full(43, 91.0), torsions)


def test_build_has_the_given_coordinates() -> None:
    rng = np.random.default_rng(0)
    angles, torsions = rng.uniform(80, 150, 20), rng.uniform(-179, 179, 19)
    chain = build(angles, torsions, bond=0.37)
    steps = np.diff(chain, axis=0)
    np.testing.assert_allclose(np.linalg.norm(steps, axis=-1), 0.37)
    cosine = -(steps[:-1] * steps[1:]).sum(-1) / 0.37**2
    np.testing.assert_allclose(np.degrees(np.arccos(cosine)), angles)
    np.testing.assert_allclose(dihedrals(chain), torsions)


def test_build_refuses_what_makes_no_chain() -> None:
    with pytest.raises(FewstepError, match="one angle more"):
        build(np.full(5, 91.0), np.full(5, 50.0))


def test_noise_has_the_given_scale(native: np.ndarray) -> None:
    noise = np.concatenate(
        [noised(native, 0.1, np.random.default_rng(s)) - native for s in range(40)]
    )
    assert noise.std() == pytest.approx(0.1, rel=0.05)


def test_a_mirror_image_keeps_distances_but_not_the_hand(native: np.ndarray) -> None:
    before, after = describe(native), describe(mirrored(native))
    assert after.pop("right_handed") == pytest.approx(1 - before.pop("right_handed"))
    assert after == pytest.approx(before)


def test_perturbed_torsions_drift_from_the_fold(native: np.ndarray) -> None:
    still = torsion_perturbed(native, 0.0, np.random.default_rng(0))
    assert rmsd(still, native) < 1e-6
    little, much = (torsion_perturbed(native, s, np.random.default_rng(0)) for s in (2.0, 20.0))
    assert 0 < rmsd(little, native) < rmsd(much, native)
    assert bond_fraction(much) == 1.0
    change = (dihedrals(much) - dihedrals(native) + 180) % 360 - 180
    assert change.std() == pytest.approx(20, rel=0.4)


@pytest.mark.parametrize("shuffle", [torsion_shuffled, segment_shuffled])
def test_shuffling_keeps_the_torsions_but_not_the_fold(native: np.ndarray, shuffle) -> None:
    decoy = shuffle(native, np.random.default_rng(1))
    assert bond_fraction(decoy) == 1.0
    np.testing.assert_allclose(np.sort(dihedrals(decoy)), np.sort(dihedrals(native)), atol=1e-6)
    assert rmsd(decoy, native) > 0.2


@pytest.mark.parametrize("length", [20, 60, 130])
def test_walks_are_self_avoiding_chains(length: int) -> None:
    for seed in range(3):
        for walk in (coil, globule):
            chain = walk(length, np.random.default_rng(seed))
            assert chain.shape == (length, 3)
            assert bond_fraction(chain) == 1.0
            assert clashes(chain) == 0


def test_a_globule_is_compact_and_a_coil_is_not() -> None:
    seeds = [np.random.default_rng(seed) for seed in range(8)]
    globules = [rg_ratio(globule(120, rng)) for rng in seeds]
    coils = [rg_ratio(coil(120, rng)) for rng in seeds]
    assert 0.85 < np.mean(globules) < 1.25
    assert np.mean(coils) > 1.5


def test_a_seed_repeats_a_decoy(native: np.ndarray) -> None:
    makers = (
        lambda rng: noised(native, 0.1, rng),
        lambda rng: torsion_shuffled(native, rng),
        lambda rng: segment_shuffled(native, rng),
        lambda rng: coil(30, rng),
        lambda rng: globule(30, rng),
    )
    for make in makers:
        first, again, other = (make(np.random.default_rng(seed)) for seed in (0, 0, 1))
        np.testing.assert_array_equal(first, again)
        assert not np.array_equal(first, other)
