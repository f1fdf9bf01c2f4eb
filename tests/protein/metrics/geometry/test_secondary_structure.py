"""Contract: ideal helices and strands are named so, in nanometre; broken chains get no letters."""

import math

import numpy as np
import pytest
from protein.chains import helix, strand

from domains.errors import FewstepError
from domains.protein.metrics.geometry.decoys import build, coil
from domains.protein.metrics.geometry.secondary_structure import assign, describe, fractions


def test_ideal_helix_and_strand_are_found() -> None:
    of_helix, of_strand = fractions(assign(helix())), fractions(assign(strand()))
    assert of_helix["helix"] > 0.85 and of_helix["strand"] == 0
    assert of_strand["strand"] > 0.85 and of_strand["helix"] == 0


def test_parts_are_found_where_they_are() -> None:
    torsions = np.concatenate([np.full(15, 50.0), np.full(15, -170.0)])
    angles = np.concatenate([np.full(16, 91.0), np.full(15, 124.0)])
    letters = assign(build(angles, torsions))
    assert len(letters) == 33
    assert set(letters[3:12]) == {"a"}
    assert set(letters[22:30]) == {"b"}


def test_the_unit_is_nanometre() -> None:
    helix = build(np.full(28, 91.0), np.full(27, 50.0))
    assert fractions(assign(helix * 10))["strand"] == 0.0


def test_a_random_walk_is_mostly_coil() -> None:
    walk = coil(80, np.random.default_rng(0))
    shares = fractions(assign(walk))
    assert shares["coil"] > 0.6
    assert sum(shares.values()) == pytest.approx(1.0)


@pytest.mark.parametrize("length", [1, 3, 5])
def test_short_chains_are_coil(length: int) -> None:
    assert assign(0.1 * np.arange(3.0 * length).reshape(length, 3)) == "c" * length


def test_a_broken_chain_has_no_letters() -> None:
    broken = np.full((8, 3), np.nan)
    with pytest.raises(FewstepError, match="not finite"):
        assign(broken)
    row = describe(broken)
    assert row["secondary_structure"] == ""
    assert all(math.isnan(row[name]) for name in ("helix", "strand", "coil"))  # type: ignore[arg-type]
