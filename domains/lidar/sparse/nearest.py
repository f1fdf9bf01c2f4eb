"""The nearest voxel of another cloud: exact, within one scan, ties by coordinates."""

import numpy as np
import torch
from jaxtyping import Int
from scipy.spatial import KDTree
from torch import Tensor

from domains.errors import FewstepError
from domains.lidar.sparse.voxels import Voxels

__all__ = ["nearest", "nearest_by_distance", "nearest_by_tree"]

# Distances per piece of the exhaustive search (32 MB).
_PIECE = 1 << 22


def nearest(queries: Voxels, anchors: Voxels) -> Int[Tensor, " q"]:
    """Return the row of the anchor closest to each query, of the same scan.

    The distance is Euclidean between lower corners in finest voxels, whatever the strides.
    Of several nearest anchors the lexicographically smallest (x, y, z) is taken.

    Raises:
        FewstepError: A scan has queries but no anchors.
    """
    out = torch.empty_like(queries.keys)
    scans = int(queries.scan[-1]) + 1 if len(queries) else 0
    starts, others = queries.scan_starts(scans), anchors.scan_starts(scans)
    xyz, corners = queries.xyz, anchors.xyz
    search = nearest_by_tree if out.device.type == "cpu" else nearest_by_distance
    for scan in range(scans):
        some = slice(starts[scan], starts[scan + 1])
        first, last = others[scan], others[scan + 1]
        if some.start == some.stop:
            continue
        if first == last:
            raise FewstepError(f"scan {scan} of a batch has points but an empty condition")
        out[some] = first + search(xyz[some], corners[first:last])
    return out


def nearest_by_distance(xyz: Int[Tensor, "q 3"], anchors: Int[Tensor, "a 3"]) -> Int[Tensor, " q"]:
    """Compare every query with every anchor, in integers; anchors in ascending order."""
    rows = torch.arange(len(anchors), device=anchors.device)
    closest = []
    for some in xyz.split(max(1, _PIECE // len(anchors))):
        distance = sum((some[:, None, k] - anchors[None, :, k]) ** 2 for k in range(3))
        # Distance and row in one integer: the smallest is the nearest, and its first row.
        closest.append((distance * len(anchors) + rows).amin(1) % len(anchors))
    return torch.cat(closest)


def nearest_by_tree(xyz: Int[Tensor, "q 3"], anchors: Int[Tensor, "a 3"]) -> Int[Tensor, " q"]:
    """Ask a k-d tree, with the queries moved a little towards smaller coordinates.

    A query moved by -e is |q - c|² + 2 e·c away from an anchor c (squared, but for a term
    that all anchors share). With e·c = (rank of c's cell in the anchors' grid) / 4 (cells),
    equal distances come in lexicographic order, and different ones, which are integers,
    keep theirs. Queries for which rounding could reverse that order are searched exhaustively.
    """
    if len(anchors) == 1:
        return torch.zeros_like(xyz[:, 0])
    start = anchors.amin(0)
    corners = (anchors - start).numpy().astype(np.float64)
    points = (xyz - start).numpy().astype(np.float64)
    unit = np.gcd.reduce(anchors.numpy(), axis=None)
    x, y, z = corners.max(0) / unit + 1
    step = 1 / (4 * x * y * z)
    moved = points - step / unit * np.array([y * z, z, 1.0])
    distance, rows = KDTree(corners).query(moved, workers=torch.get_num_threads())
    closest = torch.from_numpy(rows)
    # Bound of the error of a squared distance: a few roundings, and those on the way down
    # the tree, relative to the distance and to the coordinates.
    error = 2.0**-46 * distance * (distance + np.abs(points).max(1, initial=1))
    unsure = torch.from_numpy(error >= step)
    closest[unsure] = nearest_by_distance(xyz[unsure], anchors)
    return closest
