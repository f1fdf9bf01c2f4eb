"""A chain's CATH class from its secondary structure content alone.

A judge of samples that were asked for a class (mainly α, mainly β, α and β): it knows nothing of
the network that made them. How often it is right is what it says of held-out natives.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from domains.protein.data.cath import parse_code

__all__ = ["ContentJudge"]

_LEAST = 8  # domains of a class, to know how its content varies


class ContentJudge:
    """Gaussian classes of (helix, strand) content, all as likely as each other.

    Args:
        content: Shares of helix and strand of labelled domains [d, 2].
        codes: Their CATH codes.

    Attributes:
        names: Classes of enough domains, which can be told; there may be none.
    """

    def __init__(self, content: Float[np.ndarray, "d 2"], codes: Sequence[str]):
        classes = np.array([parse_code(code)[0] for code in codes])
        known = sorted(set(classes) - {"x"})  # x is that nobody knows
        self.names = [name for name in known if (classes == name).sum() >= _LEAST]
        self.means = [content[classes == name].mean(0) for name in self.names]
        # Contents of real domains can all be zero: a floor keeps the Gaussian.
        floor = 1e-3 * np.eye(2)
        self.covariances = [np.cov(content[classes == name].T) + floor for name in self.names]

    def judge(self, helix: float, strand: float) -> str:
        """Return the likeliest class, "1", "2", "3" or "4"; there must be one in ``names``."""
        scores = []
        for mean, covariance in zip(self.means, self.covariances, strict=True):
            away = np.array([helix, strand]) - mean
            distance = away @ np.linalg.solve(covariance, away)
            scores.append(-0.5 * (distance + np.log(np.linalg.det(covariance))))
        return self.names[int(np.argmax(scores))]
