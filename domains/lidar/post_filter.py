"""Which points of a completion count, by LiDiff's rule."""

import numpy as np
from jaxtyping import Float

from domains.errors import FewstepError
from domains.lidar.scene_sample import RANGE

__all__ = ["post_filter"]

_SPREADS = 2.0


def post_filter(
    points: Float[np.ndarray, "n 3"], scan: Float[np.ndarray, "s 3"]
) -> Float[np.ndarray, "m 3"]:
    """Return the points with range < 50 m and mean(z) − 2 std(z) < z < max(z) of the scan.

    Points that are not finite stay, so that the metrics show what the model did.

    Args:
        points: Completion in the sensor frame, metre.
        scan: The network's input, cropped and sampled; at least two points.

    Raises:
        FewstepError: The scan has fewer points.
    """
    if len(scan) < 2:
        raise FewstepError("an input scan is too small to crop by", expected="2 points or more")
    heights = scan[:, 2].astype(np.float64)
    low, high = heights.mean() - _SPREADS * heights.std(ddof=1), heights.max()
    inside = np.linalg.norm(points, axis=1) < RANGE[1]
    inside &= (points[:, 2] > low) & (points[:, 2] < high)
    return points[inside | ~np.isfinite(points).all(1)]
