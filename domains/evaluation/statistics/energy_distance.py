"""How far two samples of points are apart as distributions: the energy distance."""

import math

import numpy as np
from jaxtyping import Float
from scipy.spatial.distance import cdist, pdist

from domains.errors import FewstepError

__all__ = ["EnergyDistance"]


class EnergyDistance:
    """The energy distance of samples to a fixed reference, estimated without bias.

    E(X, Y) = 2 E|X − Y| − E|X − X'| − E|Y − Y'|, in the unit of the points (Székely and Rizzo,
    Journal of Statistical Planning and Inference 143 (2013) 1249). It is 0 only if the two
    distributions are the same; two points at distance d have 2 d. All of a distribution counts,
    not only its mean and covariance.

    Means over pairs leave out the pairs of a point with itself (U-statistics), so equal
    distributions have 0 on average whatever the numbers of points, and a value may be slightly
    negative. With those pairs, small samples would lie farther away by E|X − X'| / n.

    Args:
        reference: Points [m, d], at least two.

    Raises:
        FewstepError: Points are fewer than two, or not finite.
    """

    def __init__(self, reference: Float[np.ndarray, "m d"]):
        self._reference = _checked(reference)
        self._within = float(pdist(self._reference).mean())

    def to(self, sample: Float[np.ndarray, "n d"]) -> float:
        """Return the distance to a sample of at least two points; NaN below two.

        Raises:
            FewstepError: A point is not finite.
        """
        if len(sample) < 2:
            return math.nan
        sample = _checked(sample)
        between = float(cdist(sample, self._reference).mean())
        return 2 * between - float(pdist(sample).mean()) - self._within


def _checked(points: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "n d"]:
    if len(points) < 2 or not np.isfinite(points).all():
        raise FewstepError(
            "an energy distance can't be computed",
            expected="two or more points, all finite",
            got=f"{len(points)} points, {int((~np.isfinite(points)).any(1).sum())} not finite",
            do="Leave out what is not finite, and report its share",
        )
    return points
