"""Contract: novelty says what it searched; a broken sample has none."""

import math

import numpy as np
import pytest
from protein.metrics.folds import fold, near, needs_tm_align

from domains.errors import FewstepError
from domains.protein.metrics.similarity.novelty import novelty, novelty_column


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
def test_a_broken_sample_has_no_novelty() -> None:
    broken = fold(0)
    broken[1] = np.nan
    best, nearest = novelty([broken, fold(1)], [fold(1), fold(2)], None)
    assert math.isnan(best[0])
    assert nearest.tolist() == [-1, 0]
    with pytest.raises(FewstepError, match="not finite"):
        novelty([fold(1)], [broken])
    with pytest.raises(FewstepError, match="no references"):
        novelty([fold(1)], [])
