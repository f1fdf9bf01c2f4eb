"""The measures of chains at equal composition, as the evaluation takes them."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float

from domains.evaluation.statistics.measured import SetMeasure
from domains.files.provenance import named
from domains.protein.metrics.composition.nativeness import nativeness
from domains.protein.metrics.composition.regression import load_fit
from domains.protein.metrics.composition.relative_cross_nll import relative_cross_nll
from domains.protein.metrics.composition.tertiary import TERTIARY, describe

__all__ = ["chains_at_equal_composition", "set_at_equal_composition"]

_COMPOSITION = ["helix", "strand", "length"]


def _fitted() -> str:
    low, high = load_fit().lengths
    return f"bundled natives of {low} to {high} residues"


def chains_at_equal_composition(
    chains: Sequence[Float[np.ndarray, "_ 3"]], table: pd.DataFrame, tools: Mapping[str, str]
) -> tuple[Float[np.ndarray, " n"], str]:
    """Return ``nativeness_proxy`` of each chain, and its tool.

    Args:
        chains: Samples, nm.
        table: Their rows: ``helix``, ``strand``, ``length`` and ``secondary_structure``.
        tools: What measured the columns of the table.
    """
    letters = table["secondary_structure"]
    found = pd.DataFrame(
        [describe(*one) for one in zip(chains, letters, strict=True)], columns=list(TERTIARY)
    )
    statistics = {name: found[name].to_numpy(float) for name in TERTIARY}
    tool = f"{named('fewstep')}, {tools['helix']}, {_fitted()}"
    return nativeness(statistics, table[_COMPOSITION].to_numpy(float)), tool


def set_at_equal_composition(
    table: pd.DataFrame, tools: Mapping[str, str], seed: int
) -> Iterator[SetMeasure]:
    """Yield ``relative_cross_nll``, where cross NLL was measured.

    Args:
        table: Rows of the chains: ``helix``, ``strand``, ``length``, maybe ``cross_nll``.
        tools: What measured the columns of the table.
        seed: Of the interval.
    """
    if "cross_nll" in table:
        composition = table[_COMPOSITION].to_numpy(float)
        found, count = relative_cross_nll(table["cross_nll"].to_numpy(float), composition, seed)
        tool = f"{tools['cross_nll']}, {_fitted()} and their compact decoys"
        yield SetMeasure("relative_cross_nll", found, count, tool)
