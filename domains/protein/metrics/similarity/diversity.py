"""Diversity of a set: mean TM-score of pairs, and clusters, among chains of one length.

Both align a bounded number of pairs, whatever the number of chains. The published clusters are
Foldseek's, see ``foldseek``.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float, Int
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from domains.evaluation.statistics.bootstrap import Interval, bootstrap_groups, bootstrap_pairs
from domains.evaluation.statistics.measured import SetMeasure
from domains.protein.metrics.geometry.chain import check_chain
from domains.protein.metrics.similarity.foldseek import Foldseek
from domains.protein.metrics.similarity.tm_align import SHORTEST, engine, tm_align
from domains.protein.metrics.similarity.workers import Workers
from domains.protein.settings import ProteinEvaluate

__all__ = ["Alignments", "clusters", "drawn_pairs", "mean_tm", "of_set"]

SAME_FOLD = 0.5  # chains above this TM-score mostly share a fold (Xu & Zhang 2010)


def of_set(
    chains: Sequence[Float[np.ndarray, "_ 3"]],
    config: ProteinEvaluate,
    foldseek: Foldseek | None,
    workers: Workers,
    said: str,
    seed: int,
) -> list[SetMeasure]:
    """Measure clusters, and the mean TM-score where it is TM-align's.

    Args:
        chains: Those to align: finite and not exploded, nm.
        config: Whether to, and of how many pairs.
        foldseek: What clusters, instead of TM-align.
        workers: What aligns.
        said: End of the tool's name: which samples these are.
        seed: Of the pairs and of the intervals.
    """
    if not config.diversity or len(chains) < 2:
        return []
    if foldseek:
        share = bootstrap_groups(foldseek.clusters(chains), seed, draws=200)
        return [SetMeasure("cluster_share", share, len(chains), foldseek.cluster_tool + said)]
    alignments = Alignments(chains, workers)
    mean, of_all = mean_tm(alignments, config.pairs, seed)
    chosen, groups = clusters(alignments, config.pairs, seed)
    share = bootstrap_groups(groups, seed, draws=200)
    pairs = said if of_all else f", {config.pairs} pairs drawn at random{said}"
    some = said if of_all else f", {len(chosen)} samples drawn at random"
    return [
        SetMeasure("pairwise_tm", mean, len(chains), f"{engine()}{pairs}"),
        SetMeasure("cluster_share", share, len(chosen), f"{engine()}{some}"),
    ]


class Alignments:
    """TM-scores of pairs of a set, each aligned once.

    Args:
        chains: Finite Cα chains, nanometre, five residues or more.
        workers: What aligns; this process if not given.

    Raises:
        FewstepError: A chain is too short or isn't finite.
    """

    def __init__(self, chains: Sequence[Float[np.ndarray, "_ 3"]], workers: Workers | None = None):
        self.chains = [check_chain(chain, least=SHORTEST) for chain in chains]
        self.lengths = np.array([len(chain) for chain in self.chains], dtype=int)
        self._workers = workers or Workers()
        self._known: dict[tuple[int, int], float] = {}

    def tm(self, pairs: Int[np.ndarray, "m 2"]) -> Float[np.ndarray, " m"]:
        """Return the TM-score of each pair, the mean of those by either length.

        Raises:
            FewstepError: TM-align is missing.
        """
        keys = [(int(i), int(j)) for i, j in pairs]
        new = [key for key in dict.fromkeys(keys) if key not in self._known]
        jobs = [(self.chains[i], self.chains[j]) for i, j in new]
        self._known |= zip(new, self._workers.each(_score, jobs, "pairs"), strict=True)
        return np.array([self._known[key] for key in keys], dtype=float)


def _score(pair: tuple[np.ndarray, np.ndarray]) -> float:
    return tm_align(*pair, normalise="mean")


def drawn_pairs(
    lengths: Int[np.ndarray, " n"], most: int, seed: int
) -> tuple[Int[np.ndarray, "m 2"], bool]:
    """Draw pairs of chains of one length, none twice; every such pair is as likely.

    Args:
        lengths: Of the chains.
        most: Number of pairs; where there are no more than that, it is all of them.
        seed: Of the draw.

    Returns:
        Pairs (i, j) with i > j, and whether it is all of them.
    """
    groups = [np.flatnonzero(lengths == length) for length in np.unique(lengths)]
    ends = np.cumsum([len(group) * (len(group) - 1) // 2 for group in groups], dtype=np.int64)
    total = int(ends[-1]) if len(ends) else 0
    if total <= most:
        numbers = np.arange(total)
    else:
        numbers = np.sort(np.random.default_rng(seed).choice(total, most, replace=False))
    which = np.searchsorted(ends, numbers, side="right")
    found = np.empty((len(numbers), 2), dtype=int)
    for k, group in enumerate(groups):
        here = which == k
        first, second = _pair_of(numbers[here] - (ends[k - 1] if k else 0))
        found[here] = np.stack([group[first], group[second]], axis=1)
    return found, total <= most


def _pair_of(number: Int[np.ndarray, " m"]) -> tuple[np.ndarray, np.ndarray]:
    """Return the pair i > j at a place of the list (1, 0), (2, 0), (2, 1), (3, 0) and so on."""
    first = ((1 + np.sqrt(1 + 8 * number.astype(float))) / 2).astype(int)  # exact up to 2⁵⁰
    return first, number - first * (first - 1) // 2


def mean_tm(alignments: Alignments, most: int, seed: int) -> tuple[Interval, bool]:
    """Return the mean TM-score over pairs of one length; low is diverse.

    Args:
        alignments: Of the set.
        most: Pairs that are aligned, drawn at random.
        seed: Of the draw and of the interval, which is a bootstrap over samples.

    Returns:
        The mean, NaN without pairs, and whether it is of all pairs.
    """
    pairs, all_of_them = drawn_pairs(alignments.lengths, most, seed)
    values = alignments.tm(pairs)
    count = len(alignments.chains)
    return bootstrap_pairs(pairs, values, count, seed, bounds=(0, 1)), all_of_them


def clusters(
    alignments: Alignments, most: int, seed: int
) -> tuple[Int[np.ndarray, " k"], Int[np.ndarray, " k"]]:
    """Find the clusters of some chains: single linkage among those of one length.

    Chains joined by any path of pairs above a TM-score of .5 are one cluster, whatever their
    order. All pairs count, so it is the chains that are drawn: as many as have no more than
    ``most`` pairs of one length. There is no cheap screen that finds the pairs to align
    (docs/explanation/similarity.md has what was tried), and the share of clusters falls with the
    number of chains, so it compares sets of equal numbers only.

    Args:
        alignments: Of the set.
        most: Pairs that are aligned.
        seed: Of the draw.

    Returns:
        The chains, rising, and the number of each one's cluster.
    """
    lengths = alignments.lengths
    order = np.random.default_rng(seed).permutation(len(lengths))
    partners = pd.Series(lengths[order]).groupby(lengths[order]).cumcount().to_numpy()
    chosen = np.sort(order[np.cumsum(partners) <= most])
    pairs, _ = drawn_pairs(lengths[chosen], most, seed)
    joined = pairs[alignments.tm(chosen[pairs]) > SAME_FOLD]
    edges = coo_array((np.ones(len(joined)), tuple(joined.T)), shape=(len(chosen),) * 2)
    return chosen, connected_components(edges, directed=False)[1]
