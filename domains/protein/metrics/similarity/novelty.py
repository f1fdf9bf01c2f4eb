"""Novelty of a set to known structures, by TM-scores of chains of any length.

The published numbers use Foldseek's TM-score over the aligned part; these scores are
normalised by chain length, so a short perfect match doesn't count as the same fold. The
published kind is in ``foldseek``.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int

from domains.errors import FewstepError
from domains.protein.metrics.folds.fold_screen import FoldScreen
from domains.protein.metrics.geometry.chain import check_chain, is_whole
from domains.protein.metrics.similarity.tm_align import SHORTEST, tm_align
from domains.protein.metrics.similarity.workers import Workers

__all__ = ["novelty", "novelty_column"]


def novelty_column(shortlist: int | None) -> str:
    """Return the name that a result of ``novelty`` must carry: it says what was searched."""
    return "novelty_tm" if shortlist is None else f"novelty_tm_shortlist{shortlist}"


def novelty(
    samples: Sequence[Float[np.ndarray, "_ 3"]],
    references: Sequence[Float[np.ndarray, "_ 3"]],
    shortlist: int | None = 50,
    workers: Workers | None = None,
) -> tuple[Float[np.ndarray, " s"], Int[np.ndarray, " s"]]:
    """Return each sample's highest TM-score, by the sample's length, to any reference.

    High means close to a known structure. A shortlist (see ``FoldScreen``) can miss the
    best reference and then makes a sample look *more* novel than it is; hence the column
    name. On 24 CATH domains against 1,200 others, the ones that the screen was chosen on, a
    shortlist of 50 held the best reference for 71 % and lost 0.011 of score on average (0.13
    at most); 200 held 83 % and lost 0.001 (0.016 at most). Screening costs 0.03 ms a
    reference, TM-align 14.

    Args:
        samples: Cα chains, nanometre; one that isn't whole gives NaN and -1.
        references: Finite Cα chains, nanometre, such as the training set.
        shortlist: References to align with each sample; None aligns all.
        workers: What aligns; this process if not given.

    Returns:
        Highest score, and the index of its reference.

    Raises:
        FewstepError: TM-align is missing, there are no references, or one isn't finite.
    """
    if not len(references):
        raise FewstepError("novelty has no references", expected="at least one chain", got=0)
    for chain in references:
        check_chain(chain, least=SHORTEST)
    usable = [i for i, sample in enumerate(samples) if is_whole(sample)]
    if shortlist is None or shortlist >= len(references):
        near = np.tile(np.arange(len(references)), (len(usable), 1))
    else:
        screen = FoldScreen(references)
        near = np.array([screen.shortlist(samples[i], shortlist) for i in usable])
    jobs = [(samples[i], [references[j] for j in row]) for i, row in zip(usable, near, strict=True)]
    best, nearest = np.full(len(samples), np.nan), np.full(len(samples), -1)
    found = (workers or Workers()).each(_best_score, jobs, "novelty")
    for i, row, (score, place) in zip(usable, near, found, strict=True):
        best[i], nearest[i] = score, row[place]
    return best, nearest


def _best_score(job: tuple[np.ndarray, list[np.ndarray]]) -> tuple[float, int]:
    """Return a sample's best score by its own length, and the place of that reference."""
    sample, references = job
    scores = [tm_align(sample, reference) for reference in references]
    return max(scores), int(np.argmax(scores))
