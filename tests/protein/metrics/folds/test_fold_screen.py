"""Contract: a shortlist holds the references with the highest overlap, as the plain search does."""

import numpy as np
import pytest
from protein.metrics.folds import fold, near

from domains.protein.metrics.folds.fold_screen import FoldScreen, contact_map, overlap


def test_the_contact_map_ignores_motion() -> None:
    chain = fold(0, 80)
    np.testing.assert_allclose(contact_map(chain), contact_map(chain[:, [1, 2, 0]] + 3.0))


def test_maps_overlap_wherever_the_query_lies_in_the_other() -> None:
    whole = fold(0, 90)
    part, apart = contact_map(whole[30:60]), contact_map(fold(1, 30))
    assert overlap(part, part) == pytest.approx(1.0)
    assert overlap(part, contact_map(whole)) > 0.9
    assert overlap(apart, contact_map(whole)) < 0.8
    # A reference below half of the query can't explain it.
    assert overlap(contact_map(whole), contact_map(whole[:30])) == 0.0


def test_the_shortlist_puts_the_same_fold_first() -> None:
    screen = FoldScreen([fold(seed, 60) for seed in range(8)])
    for seed in range(8):
        found = screen.shortlist(near(fold(seed, 60)), 3)
        assert found[0] == seed
        assert len(set(found.tolist())) == 3


@pytest.mark.parametrize("count", [1, 7, 90, 200])
def test_the_shortlist_is_that_of_the_plain_search(count: int) -> None:
    """Of all sizes, more of one size than fit a block, and copies, which tie."""
    references = [fold(seed, 12 + 5 * (seed % 9)) for seed in range(20)]
    references += [near(fold(3, 40), seed) for seed in range(70)] + references[:5]
    screen, maps = FoldScreen(references), [contact_map(chain) for chain in references]
    for length in (6, 27, 40, 75):
        sample = fold(99, length)
        scores = np.array([overlap(contact_map(sample), single) for single in maps])
        expected = np.argsort(-scores, kind="stable")[:count]
        np.testing.assert_array_equal(screen.shortlist(sample, count), expected)
