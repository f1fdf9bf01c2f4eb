"""LiDiff's post-filter: the points of a completion that count."""

import numpy as np
from jaxtyping import Float

from domains.errors import FewstepError
from domains.lidar.data.scene_sample import RADIUS
from domains.lidar.metrics.clouds import check_cloud

__all__ = ["post_filter"]

_SPREADS = 2.0


def post_filter(
    points: Float[np.ndarray, "n 3"], scan: Float[np.ndarray, "s 3"], radius: float = RADIUS
) -> Float[np.ndarray, "m 3"]:
    """Return the points with range < ``radius`` and mean(z) − 2 std(z) < z < max(z) of the scan.

    That is LiDiff's post-filter (Nunes et al. 2024), with the sample standard deviation. Points
    that are not finite stay, so that the metrics show what the model did.

    Args:
        points: Completion in the sensor frame, metre.
        scan: The network's input, cropped and sampled; at least two points.
        radius: Reach of the scene, metre.

    Raises:
        FewstepError: The scan has fewer points, or one that is not finite.
    """
    if len(scan) < 2:
        raise FewstepError(
            "a scan is too small to filter by", expected="2 points or more", got=len(scan)
        )
    heights = check_cloud(scan)[:, 2].astype(np.float64)
    low, high = heights.mean() - _SPREADS * heights.std(ddof=1), heights.max()
    inside = np.linalg.norm(points.astype(np.float64), axis=1) < radius
    inside &= (points[:, 2] > low) & (points[:, 2] < high)
    return points[inside | ~np.isfinite(points).all(1)]
