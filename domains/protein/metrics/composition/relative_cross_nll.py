"""Cross NLL between that of natives and that of wrong folds, both of the same composition."""

import math

import numpy as np
from jaxtyping import Float

from domains.evaluation.statistics.bootstrap import Interval, bootstrap_interval
from domains.protein.metrics.composition.regression import NativeFit, load_fit

__all__ = ["relative_cross_nll"]

_LEAST_GAP = 0.05  # nat: a set whose wrong folds are as good as natives can't be judged


def relative_cross_nll(
    cross_nll: Float[np.ndarray, " n"],
    composition: Float[np.ndarray, "n 3"],
    seed: int,
    fit: NativeFit | None = None,
) -> tuple[Interval, int]:
    """Return the mean excess over natives in units of wrong folds' mean excess, with interval.

    0 is as natives, 1 as compact wrong folds, of these shares of helix and strand and these
    lengths. Natives have about the same cross NLL with any composition; a wrong fold's falls with
    its helix, because each helix alone is right. So bundles of helices win nothing by being
    helices: their excess is small, and so is what it is divided by, which the interval shows. The
    sums are taken before they are divided, so a chain counts as much as it can tell.

    Args:
        cross_nll: As ``proxy`` measures it, nat per residue; NaN are left out.
        composition: Share of helix, share of strand, residues.
        seed: Of the bootstrap over chains.
        fit: Another fit than the bundled one.

    Returns:
        The interval, and of how many chains; NaN without any, and where natives and wrong folds
        are less than .05 nat apart on average.
    """
    fit = fit or load_fit()
    excess = fit.excess("cross_nll", cross_nll, composition)
    known = np.isfinite(excess)
    wrong = fit.wrong.excess(cross_nll[known], composition[known])
    excess = excess[known]
    apart = np.maximum(excess - wrong, 0.0)
    if not len(excess) or apart.mean() < _LEAST_GAP:
        return Interval(math.nan, math.nan, math.nan), len(excess)

    def ratio(rows: Float[np.ndarray, " n"]) -> float:
        chosen = rows.astype(int)
        total = float(apart[chosen].sum())
        return float(excess[chosen].sum()) / total if total > 0 else math.nan

    return bootstrap_interval(np.arange(len(excess)), ratio, seed), len(excess)
