"""``nativeness_proxy``: is a chain packed as natives of its composition are? No network is asked.

The statistics of ``tertiary`` are taken relative to natives of the same helix, strand and
length, in units of their spread. A logistic regression tells natives from three kinds of
decoys by them. What it can tell, and how sure, is in ``docs/explanation/equal_composition.md``.
"""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float

from domains.protein.metrics.composition.regression import NativeFit, load_fit

__all__ = ["nativeness", "standardised"]

_MOST = 5.0  # standard deviations: beyond that a statistic is wrong, however far


def nativeness(
    statistics: Mapping[str, Float[np.ndarray, " n"]],
    composition: Float[np.ndarray, "n 3"],
    fit: NativeFit | None = None,
) -> Float[np.ndarray, " n"]:
    """Return the probability that a chain is a native and no decoy, if both are as frequent.

    Args:
        statistics: Those of ``tertiary.describe``, by name.
        composition: Share of helix, share of strand, residues.
        fit: Another fit than the bundled one.

    Returns:
        In (0, 1); NaN for broken chains, and for lengths that no native of the fit has.
    """
    fit = fit or load_fit()
    residuals = standardised(statistics, composition, fit)
    weights = np.array([fit.weights[name] for name in fit.weights])
    return 1 / (1 + np.exp(-(fit.intercept + residuals @ weights)))


def standardised(
    statistics: Mapping[str, Float[np.ndarray, " n"]],
    composition: Float[np.ndarray, "n 3"],
    fit: NativeFit,
) -> Float[np.ndarray, "n d"]:
    """Return each statistic's excess over natives in standard deviations, within ± 5.

    A statistic that a chain can't have, such as the pairing of no strand, counts as natives'.
    """
    broken = ~np.isfinite(composition).all(1)
    columns = []
    for name in fit.weights:
        values = np.asarray(statistics[name], dtype=np.float64)
        excess = fit.excess(name, values, composition) / fit.regressions[name].spread
        columns.append(np.clip(np.where(np.isnan(values), 0.0, excess), -_MOST, _MOST))
    found = np.stack(columns, axis=1)
    length = composition[:, 2]
    found[broken | (length < fit.lengths[0]) | (length > fit.lengths[1])] = np.nan
    return found
