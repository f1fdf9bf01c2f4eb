"""The nearest points of a scan."""

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy.spatial import KDTree
from torch import Tensor

__all__ = ["gathered", "nearest_points"]

# Distances per piece of the exhaustive search (64 MB).
_PIECE = 1 << 24


def nearest_points(
    queries: Float[Tensor, "q 3"], points: Float[Tensor, "p 3"], count: int
) -> Int[Tensor, "q k"]:
    """Return the rows of the k = min(count, p) points nearest to each query, nearest first.

    On a CPU a k-d tree is asked, elsewhere all distances are compared. No gradient flows. Queries
    that are not finite get some rows: what is computed of them is not finite either.
    """
    count = min(count, len(points))
    if queries.device.type == "cpu":
        asked = np.nan_to_num(queries.detach().float().numpy(), posinf=0.0, neginf=0.0)
        tree = KDTree(points.detach().float().numpy())
        _, rows = tree.query(asked, k=count, workers=torch.get_num_threads())
        return torch.from_numpy(rows).reshape(len(asked), count)
    with torch.no_grad():
        pieces = queries.split(max(1, _PIECE // len(points)))
        found = [torch.cdist(one, points).topk(count, largest=False).indices for one in pieces]
    return torch.cat(found)


def gathered(values: Float[Tensor, "p c"], rows: Int[Tensor, "q k"]) -> Float[Tensor, "q k c"]:
    """Return the values of each query's neighbours."""
    return values.index_select(0, rows.flatten()).unflatten(0, rows.shape)
