"""Contract: diversity and novelty say what they saw.

Left-out pairs and shortlists show in the result or in its name; a broken sample has no score.
"""

import math

import numpy as np
import pytest
from protein.metrics.folds import fold, near, needs_tm_align

from domains.errors import FewstepError
from domains.protein.metrics.similarity.diversity import (
    cluster_share,
    mean_tm,
    novelty,
    novelty_column,
    pairwise_tm,
)


@needs_tm_align
def test_pairs_within_one_length_only() -> None:
    samples = [fold(0), near(fold(0)), fold(1), fold(2, 30)]
    tm = pairwise_tm(samples).tm
    np.testing.assert_array_equal(tm, tm.T)
    assert np.isnan(tm[3, :3]).all()
    assert not np.isnan(tm[:3, :3]).any()
    assert not np.isnan(pairwise_tm(samples, same_length=False).tm).any()


@needs_tm_align
def test_diversity_of_two_folds_in_four_samples() -> None:
    samples = [fold(0), near(fold(0)), fold(1), near(fold(1))]
    found = pairwise_tm(samples)
    pairs = found.tm[np.triu_indices(4, 1)]
    assert found.complete and np.isfinite(pairs).all()
    assert cluster_share(found.tm) == 0.5
    assert mean_tm(found.tm) == pytest.approx(pairs.mean())


@needs_tm_align
def test_left_out_pairs_are_told() -> None:
    samples = [fold(seed) for seed in range(4)]
    found = pairwise_tm(samples, max_pairs=3, seed=1)
    assert not found.complete and pairwise_tm(samples, max_pairs=6).complete
    assert np.isfinite(found.tm[np.triu_indices(4, 1)]).sum() == 3
    first, again = (pairwise_tm(samples, max_pairs=3, seed=1).tm for _ in range(2))
    np.testing.assert_array_equal(first, again)
    drawn = {np.isnan(pairwise_tm(samples, 3, seed).tm).tobytes() for seed in range(8)}
    assert len(drawn) > 1


def test_single_linkage_joins_through_a_third() -> None:
    tm = np.array([[1, 0.6, 0.1, 0.1], [0.6, 1, 0.6, 0.1], [0.1, 0.6, 1, 0.1], [0.1, 0.1, 0.1, 1]])
    assert cluster_share(tm) == 0.5
    assert cluster_share(tm, threshold=0.7) == 1.0
    tm[tm == 0.6] = np.nan
    assert cluster_share(tm) == 1.0


def test_repeated_samples_are_no_pairs() -> None:
    tm = np.array([[1.0, 0.2, 0.8], [0.2, 1.0, np.nan], [0.8, np.nan, 1.0]])
    assert mean_tm(tm) == pytest.approx(0.5)
    assert mean_tm(tm, np.array([0, 0, 1])) == pytest.approx(0.2)
    assert math.isnan(mean_tm(tm, np.array([2, 2, 2])))
    assert cluster_share(tm, np.array([0, 0, 2])) == 0.5


@needs_tm_align
def test_novelty_finds_the_reference_it_came_from() -> None:
    references = [fold(seed) for seed in range(6)] + [fold(9, 60)]
    samples = [near(references[4]), near(references[6], 1), fold(50)]
    for shortlist in (None, 2):
        best, nearest = novelty(samples, references, shortlist)
        assert nearest[:2].tolist() == [4, 6]
        assert (best[:2] > 0.9).all()
        assert best[2] < 0.6


@needs_tm_align
def test_a_shortlist_is_never_above_the_whole_search() -> None:
    references, samples = [fold(seed) for seed in range(12)], [fold(20), fold(21)]
    short, whole = novelty(samples, references, 3)[0], novelty(samples, references, None)[0]
    assert (short <= whole + 1e-12).all()
    assert novelty_column(3) == "novelty_tm_shortlist3"
    assert novelty_column(None) == "novelty_tm"


@needs_tm_align
def test_a_broken_sample_has_no_novelty_and_no_pairs() -> None:
    broken = fold(0)
    broken[1] = np.nan
    best, nearest = novelty([broken, fold(1)], [fold(1), fold(2)], None)
    assert math.isnan(best[0])
    assert nearest.tolist() == [-1, 0]
    with pytest.raises(FewstepError, match="not finite"):
        pairwise_tm([broken, fold(1)])
    with pytest.raises(FewstepError, match="not finite"):
        novelty([fold(1)], [broken])
    with pytest.raises(FewstepError, match="no references"):
        novelty([fold(1)], [])


@needs_tm_align
def test_processes_change_nothing() -> None:
    samples = [fold(seed, 20) for seed in range(3)]
    one, two = pairwise_tm(samples), pairwise_tm(samples, workers=2)
    np.testing.assert_array_equal(one.tm, two.tm)
