"""Contract: diversity aligns a bounded number of pairs of one length and says how many."""

import math
from itertools import combinations

import numpy as np
import pytest
from protein.metrics.folds import fold, near, needs_tm_align

from domains.errors import FewstepError
from domains.protein.metrics.similarity import diversity
from domains.protein.metrics.similarity.diversity import (
    Alignments,
    clusters,
    drawn_pairs,
    mean_tm,
    of_set,
)
from domains.protein.metrics.similarity.workers import Workers
from domains.protein.settings import ProteinEvaluate


class Table(Alignments):
    """TM-scores from a matrix, of chains of one length."""

    def __init__(self, tm: np.ndarray):
        super().__init__([np.zeros((5, 3))] * len(tm))
        self.matrix, self.aligned = tm, 0

    def tm(self, pairs: np.ndarray) -> np.ndarray:
        self.aligned += len(pairs)
        return self.matrix[pairs[:, 0], pairs[:, 1]]


def alike(count: int, folds: int) -> np.ndarray:
    same = np.arange(count) % folds
    return np.where(same[:, None] == same, 0.8, 0.3)


def test_all_pairs_of_one_length_and_no_others() -> None:
    lengths = np.array([60, 50, 60, 60, 70, 50])
    pairs, complete = drawn_pairs(lengths, 100, 0)
    expected = {(j, i) for i, j in combinations(range(6), 2) if lengths[i] == lengths[j]}
    assert complete and len(pairs) == 4 and set(map(tuple, pairs.tolist())) == expected
    assert drawn_pairs(np.array([50]), 5, 0)[0].shape == (0, 2)


def test_drawn_pairs_are_different_and_equally_likely() -> None:
    lengths = np.array([50] * 4 + [60] * 3)  # 6 and 3 pairs
    counts: dict[tuple[int, int], int] = {}
    for seed in range(900):
        pairs, complete = drawn_pairs(lengths, 3, seed)
        assert not complete and len({tuple(pair) for pair in pairs.tolist()}) == 3
        for i, j in pairs.tolist():
            assert i > j and lengths[i] == lengths[j]
            counts[i, j] = counts.get((i, j), 0) + 1
    # 300 of each expected; four standard deviations of a binomial.
    assert len(counts) == 9 and all(abs(n - 300) < 57 for n in counts.values())


def test_pairs_of_a_million_chains_take_no_memory_of_all_pairs() -> None:
    pairs, _ = drawn_pairs(np.full(1_000_000, 80), 100, 0)
    first, second = pairs.T
    assert len(np.unique(pairs, axis=0)) == 100 and (first > second).all()
    assert second.min() >= 0 and first.max() < 1_000_000 and first.max() > 900_000


def test_the_mean_of_all_pairs_and_of_some() -> None:
    table = Table(alike(40, 4))
    whole, complete = mean_tm(table, 1000, 0)
    matrix = table.matrix[np.triu_indices(40, 1)]
    assert complete and table.aligned == 780 and whole.value == pytest.approx(matrix.mean())
    some, complete = mean_tm(table, 200, 0)
    assert not complete and table.aligned == 980
    assert some.low < matrix.mean() < some.high and some != mean_tm(table, 200, 1)[0]
    assert some == mean_tm(table, 200, 0)[0]
    alone, _ = mean_tm(Table(np.ones((1, 1))), 10, 0)
    assert all(math.isnan(part) for part in alone)


def test_single_linkage_joins_through_a_third() -> None:
    tm = np.array([[1, 0.6, 0.1, 0.1], [0.6, 1, 0.6, 0.1], [0.1, 0.6, 1, 0.1], [0.1, 0.1, 0.1, 1]])
    chosen, groups = clusters(Table(tm), 6, 0)
    assert chosen.tolist() == [0, 1, 2, 3] and len(set(groups.tolist())) == 2
    assert groups[0] == groups[1] == groups[2] != groups[3]
    tm[tm == 0.6] = 0.5
    assert len(set(clusters(Table(tm), 6, 0)[1].tolist())) == 4


def test_clusters_of_many_are_those_of_as_many_as_have_few_pairs() -> None:
    table = Table(alike(200, 3))
    chosen, groups = clusters(table, 100, 0)
    assert len(chosen) == 14 and table.aligned == 91  # 15 chains have 105 pairs
    assert len(set(chosen.tolist())) == 14 and (np.diff(chosen) > 0).all()
    fold_of = {tuple(sorted(chosen[groups == one] % 3)) for one in set(groups.tolist())}
    assert all(len(set(members)) == 1 for members in fold_of) and len(fold_of) == 3
    assert clusters(table, 100, 1)[0].tolist() != chosen.tolist()


@needs_tm_align
def test_diversity_of_two_folds_in_four_samples() -> None:
    samples = [fold(0), near(fold(0)), fold(1), near(fold(1)), fold(2, 30)]
    alignments = Alignments(samples)
    assert clusters(alignments, 100, 0)[1].max() == 2  # and the shorter one
    pairs = alignments.tm(drawn_pairs(alignments.lengths, 100, 0)[0])
    assert mean_tm(alignments, 100, 0)[0].value == pytest.approx(pairs.mean())
    assert alignments.tm(np.array([[4, 0], [0, 4]]))[0] > 0


@needs_tm_align
def test_the_tool_says_what_was_drawn() -> None:
    samples = [fold(seed, 20) for seed in range(6)]
    config = ProteinEvaluate(pairs=10)
    with Workers() as workers:
        pairs, share = of_set(samples, config, None, workers, ", 6 samples drawn at random", 0)
        whole = of_set(samples, ProteinEvaluate(), None, workers, "", 0)
    assert pairs.tool.endswith(", 10 pairs drawn at random, 6 samples drawn at random")
    assert (pairs.n, share.n) == (6, 5) and share.tool.endswith(", 5 samples drawn at random")
    assert all("drawn" not in one.tool and one.n == 6 for one in whole)


@needs_tm_align
def test_a_pair_is_aligned_once(monkeypatch: pytest.MonkeyPatch) -> None:
    alignments, called = Alignments([fold(0, 20), fold(1, 20)]), []
    monkeypatch.setattr(diversity, "_score", lambda pair: called.append(pair) or 0.4)
    assert alignments.tm(np.array([[1, 0], [1, 0]])).tolist() == [0.4, 0.4]
    assert alignments.tm(np.array([[1, 0]])).tolist() == [0.4] and len(called) == 1
    broken = fold(0)
    broken[1] = np.nan
    with pytest.raises(FewstepError, match="not finite"):
        Alignments([broken, fold(1)])


@needs_tm_align
def test_processes_change_nothing() -> None:
    samples = [fold(seed, 12) for seed in range(12)]  # 66 pairs: enough for processes
    pairs, _ = drawn_pairs(np.full(12, 12), 100, 0)
    with Workers(2) as workers:
        two = Alignments(samples, workers).tm(pairs)
        assert workers._pool is not None
    assert workers._pool is None
    np.testing.assert_array_equal(Alignments(samples).tm(pairs), two)
