"""Contract: lengths are nanometre, a mirror image changes only the handedness, broken shows.

Ideal chains are built from internal coordinates, so every expected number is known.
"""

import math

import numpy as np
import pytest
from protein.chains import chain, helix, strand

from domains.errors import FewstepError
from domains.protein.metrics.geometry.chain import (
    bond_fraction,
    clashes,
    describe,
    dihedrals,
    exploded,
    handedness,
    radius_of_gyration,
    rg_ratio,
)
from domains.protein.metrics.geometry.decoys import build


def test_bonds_count_steps_inside_the_range() -> None:
    assert bond_fraction(helix()) == 1.0
    assert bond_fraction(chain(91.0, 50.0, bond=0.41)) == 0.0
    broken = helix(11)
    broken[6:] += 5.0
    assert bond_fraction(broken) == pytest.approx(0.9)
    assert math.isnan(bond_fraction(np.zeros((1, 3))))


def test_angstrom_by_mistake_has_no_bonds() -> None:
    assert bond_fraction(helix() * 10) == 0.0


def test_clashes_count_far_pairs_below_the_limit() -> None:
    line = np.arange(6)[:, None] * np.array([0.38, 0.0, 0.0])
    assert clashes(line) == 0
    line[5] = line[0] + np.array([0.0, 0.299, 0.0])
    assert clashes(line) == 1
    line[5] = line[0] + np.array([0.0, 0.3, 0.0])
    assert clashes(line) == 0
    # All in one point: 15 pairs less 5 neighbours and 4 next neighbours.
    assert clashes(np.zeros((6, 3))) == 6


def test_radius_of_gyration_of_known_shapes() -> None:
    assert radius_of_gyration(np.array([[1.0, 0, 0], [3.0, 0, 0]])) == pytest.approx(1.0)
    steps = np.arange(101)[:, None] * np.array([0.38, 0.0, 0.0])
    rod = 0.38 * math.sqrt((101**2 - 1) / 12)
    assert radius_of_gyration(steps) == pytest.approx(rod)
    assert rg_ratio(steps) == pytest.approx(rod / (0.22 * 101**0.38))


@pytest.mark.parametrize("torsion", [-170.0, -50.0, 0.0, 50.0, 120.0])
def test_dihedrals_come_back(torsion: float) -> None:
    np.testing.assert_allclose(dihedrals(chain(100.0, torsion)), torsion, atol=1e-9)


def test_helix_is_right_handed_and_its_mirror_image_left_handed() -> None:
    share, windows = handedness(helix())
    assert (share, windows) == (1.0, 26)
    assert handedness(helix() * np.array([1.0, -1.0, 1.0])) == (0.0, windows)


def test_handedness_is_the_share_of_windows() -> None:
    torsions = np.concatenate([np.full(20, 50.0), np.full(4, -170.0), np.full(10, -50.0)])
    share, windows = handedness(build(np.full(35, 91.0), torsions))
    assert windows == 19 + 9
    assert share == pytest.approx(19 / 28)


def test_without_helix_the_handedness_is_undefined() -> None:
    assert math.isnan(handedness(strand())[0])
    assert handedness(strand())[1] == 0
    assert math.isnan(handedness(helix(4))[0])


def test_all_but_handedness_is_blind_to_motion_and_mirrors() -> None:
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
    before, after = describe(helix()), describe(helix() @ turn.T + 7.0)
    flipped = np.linalg.det(turn) < 0
    for name, value in before.items():
        expected = 1 - value if name == "right_handed" and flipped else value
        assert after[name] == pytest.approx(expected), name


def test_a_gap_of_a_loop_is_no_explosion() -> None:
    chain = helix()
    assert not exploded(chain) and not exploded(chain[:1])
    chain[20:] += 2.0
    assert not exploded(chain) and describe(chain)["exploded"] == 0.0
    chain[20:] += 4.0
    assert exploded(chain) and describe(chain)["exploded"] == 1.0
    assert exploded(100 * helix())


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_broken_chain_is_never_scored(value: float) -> None:
    broken = helix()
    broken[3, 1] = value
    row = describe(broken)
    assert row["finite"] == 0.0
    assert row["length"] == 30.0
    assert all(math.isnan(row[name]) for name in row if name not in ("finite", "length"))
    assert row.keys() == describe(helix()).keys()
    for measure in (bond_fraction, clashes, radius_of_gyration, dihedrals, handedness):
        with pytest.raises(FewstepError, match="not finite"):
            measure(broken)
