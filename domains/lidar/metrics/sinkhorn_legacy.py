"""The "EMD" that Distillation-DPO publishes, for comparison with its tables only.

Sinkhorn's iteration at ε = 0.001 m between voxels of 0.5 m. There exp(-500) vanishes beside
the 10⁻⁹ that is added to the kernel, so every pair of different voxels costs the same, and the
result is several to tens of times the optimal transport cost, which ``emd`` returns
(docs/results/lidar_metrics.md).
"""

import math

import numpy as np
from jaxtyping import Float
from scipy.spatial.distance import cdist

from domains.lidar.metrics.clouds import VOXEL, voxel_counts

__all__ = ["emd_sinkhorn_legacy"]

FLOOR = 1e-9
STEPS, TOLERANCE = 3000, 1e-4
MOST_VOXELS = 130_000
# Rows of the cost matrix at once: 32 MB for 30,000 columns.
ROWS = 128


def emd_sinkhorn_legacy(
    predicted: Float[np.ndarray, "p 3"], truth: Float[np.ndarray, "g 3"]
) -> float:
    """Return Σ_ij u_i K_ij v_j C_ij after at most 3000 steps of u = a / Kv, v = b / K'u.

    K = exp(-C / 0.001) + 10⁻⁹ needs no matrix: distances between voxel centres are 0 or at
    least 0.5 m, so in float64 it is exactly 1 + 10⁻⁹ for one voxel and 10⁻⁹ for two.

    Returns:
        Metre; NaN where both clouds together have more than 130,000 voxels, which the
        original leaves out of its mean without a word.
    """
    voxels, ours, real = voxel_counts(predicted, truth)
    if np.count_nonzero(ours) + np.count_nonzero(real) > MOST_VOXELS:
        return math.nan
    a, b = ours / len(predicted), real / len(truth)
    u, v = (a > 0).astype(float), (b > 0).astype(float)
    for _ in range(STEPS):
        before, u = u, a / (v + FLOOR * v.sum())
        v = b / (u + FLOOR * u.sum())
        if np.abs(u - before).sum() < TOLERANCE:
            break
    rows, columns = np.flatnonzero(a), np.flatnonzero(b)
    pieces = (rows[start : start + ROWS] for start in range(0, len(rows), ROWS))
    total = sum(u[i] @ cdist(voxels[i], voxels[columns]) @ v[columns] for i in pieces)
    return VOXEL * FLOOR * float(total)
