"""The nearest voxel of another cloud: exact, within one scan, ties by coordinates."""

from functools import cache, partial
from itertools import product

import numpy as np
import torch
from jaxtyping import Int
from scipy.spatial import KDTree
from torch import Tensor

from domains.device import constant, waits
from domains.errors import FewstepError
from domains.lidar.sparse.voxels import Voxels

__all__ = ["nearest", "nearest_by_distance", "nearest_by_grid", "nearest_by_tree"]

# Distances per piece of a search (32 MB).
_PIECE = 1 << 22
# Cells in which a grid is searched, each way, before what is left is searched exhaustively.
_REACH = 3
# Of packed cells: bits of an axis, what makes a coordinate positive; and no anchor's distance.
_BITS, _MIDDLE, _FAR = 20, 1 << 18, 1 << 62


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
    in_grid = partial(nearest_by_grid, edge=anchors.stride)
    search = in_grid if waits(out.device) else nearest_by_tree
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
    return _by_distance(xyz, anchors) % len(anchors)


def _by_distance(xyz: Int[Tensor, "q 3"], anchors: Int[Tensor, "a 3"]) -> Int[Tensor, " q"]:
    """Return squared distance · a + row of the nearest: of integers, the smallest is it."""
    rows = torch.arange(len(anchors), device=anchors.device)
    closest = [torch.zeros_like(xyz[:0, 0])]
    for some in xyz.split(max(1, _PIECE // len(anchors))):
        distance = sum((some[:, None, k] - anchors[None, :, k]) ** 2 for k in range(3))
        closest.append((distance * len(anchors) + rows).amin(1))
    return torch.cat(closest)


def nearest_by_grid(
    xyz: Int[Tensor, "q 3"], anchors: Int[Tensor, "a 3"], edge: int
) -> Int[Tensor, " q"]:
    """Look for anchors in the cells around each query's, for those far away exhaustively.

    Beyond ``reach`` cells, anchors are at least reach · edge + 1 away: a nearer one is the nearest.

    Args:
        xyz: Queries.
        anchors: Anchors in ascending order, one at the lower corner of each of its cells.
        edge: Of a cell.
    """
    cells = _packed(torch.div(xyz, edge, rounding_mode="floor"))
    keys = _packed(torch.div(anchors, edge, rounding_mode="floor"))
    best = torch.full_like(cells, _FAR)
    some = torch.arange(len(xyz), device=xyz.device)
    for reach in range(1, _REACH + 1):
        near = constant(_around(reach), xyz.device, torch.int64)
        for piece in some.split(max(1, _PIECE // len(near))):
            looked = cells[piece, None] + near
            row = torch.searchsorted(keys, looked).clamp_(max=len(keys) - 1)
            apart = sum((xyz[piece, None, k] - anchors[row, k]) ** 2 for k in range(3))
            code = torch.where(keys[row] == looked, apart * len(anchors) + row, _FAR).amin(1)
            best[piece] = torch.minimum(best[piece], code)
        some = some[best[some] // len(anchors) >= (reach * edge + 1) ** 2]
        if not len(some):
            break
    best[some] = _by_distance(xyz[some], anchors)
    return best % len(anchors)


def _packed(cells: Int[Tensor, "m 3"]) -> Int[Tensor, " m"]:
    """Return cells as integers in the same order; offsets add to them as they do to cells."""
    x, y, z = (cells + _MIDDLE).unbind(-1)
    return (x << 2 * _BITS) + (y << _BITS) + z


@cache
def _around(reach: int) -> tuple[int, ...]:
    """Return the packed offsets of cells ``reach`` away; for 1, of those nearer, too."""
    steps = range(-reach, reach + 1)
    ways = [way for way in product(steps, repeat=3) if reach == 1 or max(map(abs, way)) == reach]
    return tuple((x << 2 * _BITS) + (y << _BITS) + z for x, y, z in ways)


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
