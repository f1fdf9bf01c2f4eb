"""Results of a field's evaluation, as the evaluate stage takes them."""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from jaxtyping import Bool

from domains.evaluation.statistics.table import Interval

__all__ = ["COSTS", "Measured", "SetMeasure"]

# Columns of what samples cost, whatever the field: they say nothing of quality.
COSTS = ("seconds", "network_calls", "memory_gb")


@dataclass(frozen=True)
class SetMeasure:
    """A measure of a whole set, such as its diversity."""

    name: str
    interval: Interval
    n: int
    tool: str = ""


@dataclass(frozen=True)
class Measured:
    """Measures of samples.

    Attributes:
        samples: One row per sample.
        metrics: Columns of ``samples`` to average over the set.
        of_set: Measures of the set.
        tools: Program or model behind a column, with its version; else it is this package.
        shares: Columns that are 1 or 0 in each row: their mean is a share of the samples.
        drawn: Rows that a column was measured of, where it was not of all; NaN in the others.
    """

    samples: pd.DataFrame
    metrics: tuple[str, ...]
    of_set: tuple[SetMeasure, ...] = ()
    tools: dict[str, str] = field(default_factory=dict)
    shares: tuple[str, ...] = ()
    drawn: dict[str, Bool[np.ndarray, " n"]] = field(default_factory=dict)
