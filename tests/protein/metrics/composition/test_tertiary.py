"""Contract: the statistics of packing are what they say, on chains whose answer is known."""

import numpy as np
import pytest
from protein.chains import helix, native, strand

from domains.protein.metrics.composition.tertiary import TERTIARY, describe, paired_strands
from domains.protein.metrics.geometry.decoys import segment_shuffled
from domains.protein.metrics.geometry.secondary_structure import assign

_RISE, _APART = 0.34, 0.48  # nm, along a strand and between two


def sheet(second: np.ndarray) -> np.ndarray:
    """Put a strand of 8 residues along z and two residues of a turn before a second strand."""
    first = np.stack([np.zeros(8), np.zeros(8), _RISE * np.arange(8)], axis=1)
    turn = np.array([[0.0, 1.0, 7.5 * _RISE], [_APART, 1.0, 7.5 * _RISE]])
    return np.concatenate([first, turn, second])


LETTERS = "b" * 8 + "cc" + "b" * 8


def beside(apart: float, direction: int) -> np.ndarray:
    heights = _RISE * np.arange(8)[::direction]
    return np.stack([np.full(8, apart), np.zeros(8), heights], axis=1)


@pytest.mark.parametrize("direction", [1, -1])
def test_strands_side_by_side_are_paired(direction: int) -> None:
    assert paired_strands(sheet(beside(_APART, direction)), LETTERS) == 1


def test_the_part_of_a_strand_that_has_no_partner_is_not_paired() -> None:
    """The second strand begins two residues higher, so two of each have none opposite."""
    shifted = beside(_APART, -1) + np.array([0, 0, 2 * _RISE])
    # .48 nm beside and .34 along are .59 nm: the next ones to the end still have a partner.
    assert paired_strands(sheet(shifted), LETTERS) == pytest.approx(14 / 16)


def test_strands_that_are_far_or_only_cross_are_not_paired() -> None:
    assert paired_strands(sheet(beside(0.8, -1)), LETTERS) == 0
    along = _RISE * (np.arange(8) - 3.5)
    across = np.stack([along, np.full(8, _APART), np.full(8, 3 * _RISE)], axis=1)
    assert paired_strands(sheet(across), LETTERS) == 0


def test_a_lone_strand_has_no_partner_and_a_helix_no_strand() -> None:
    assert paired_strands(strand(20), "b" * 20) == 0
    assert np.isnan(describe(helix(30))["paired_strands"])


def test_only_strands_are_partners() -> None:
    letters = "b" * 8 + "c" * 10
    assert paired_strands(sheet(beside(_APART, -1)), letters) == 0


def test_strands_of_native_sheets_are_paired_and_shuffled_ones_less() -> None:
    """Not all are: P-SEA's strands reach farther than their partners, or pair elsewhere."""
    rng, chains = np.random.default_rng(0), [native(k, 60, 64) for k in range(15)]
    sheets = [chain for chain in chains if assign(chain).count("b") >= 15]
    assert len(sheets) >= 3
    shuffled = [segment_shuffled(chain, rng) for chain in sheets for _ in range(3)]
    good, wrong = (
        np.nanmean([describe(one)["paired_strands"] for one in many]) for many in (sheets, shuffled)
    )
    assert good > 0.45 and wrong < 0.8 * good


def test_a_tight_place_is_counted_and_measured() -> None:
    """Twelve residues on a line, the last one moved to within .39 nm of the first."""
    line = np.stack([0.38 * np.arange(12), np.zeros(12), np.zeros(12)], axis=1)
    found = describe(line, "c" * 12)
    assert found["close_contacts"] == 0 and found["closest"] == 0.6
    line[-1] = [0.0, 0.39, 0.0]
    found = describe(line, "c" * 12)
    assert found["close_contacts"] == pytest.approx(1 / 12)
    assert found["closest"] == pytest.approx(0.39)


def test_the_contact_order_is_the_mean_distance_over_the_length() -> None:
    """On that line the moved end touches residues 0 (11 apart) and 1 (10 apart), no others."""
    line = np.stack([0.38 * np.arange(12), np.zeros(12), np.zeros(12)], axis=1)
    line[-1] = [0.0, 0.65, 0.0]
    assert describe(line, "c" * 12)["contact_order"] == pytest.approx((11 + 10) / 2 / 12)


def test_burial_that_changes_slowly_correlates() -> None:
    """A rod's ends are bare: neighbours grow from there inwards. A line has none to correlate."""
    assert describe(helix(40))["burial_lag"] > 0.5
    line = np.stack([0.38 * np.arange(12), np.zeros(12), np.zeros(12)], axis=1)
    assert np.isnan(describe(line, "c" * 12)["burial_lag"])


def test_a_turn_changes_nothing() -> None:
    chain = native()
    turned = chain @ np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0] + 5
    assert describe(turned, "") == pytest.approx(describe(chain, ""), nan_ok=True)


def test_broken_and_short_chains_have_nothing() -> None:
    broken = helix(30)
    broken[3] = np.nan
    for chain in (broken, helix(30)[:6]):
        found = describe(chain)
        assert tuple(found) == TERTIARY and all(map(np.isnan, found.values()))
