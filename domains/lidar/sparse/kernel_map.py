"""Kernel maps: pairs of input and output rows for each offset of a sparse kernel."""

from dataclasses import dataclass
from itertools import product

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from domains.device import constant, waits
from domains.lidar.sparse.voxels import Voxels

__all__ = ["KernelMap", "child_map", "neighbour_map"]

Rows = Int[Tensor, " _"]


@dataclass(frozen=True)
class KernelMap:
    """Pairs of rows by kernel offset; x runs fastest, z slowest.

    Within one offset no source and no target appears twice: sums over offsets are
    therefore made in one fixed order.

    Attributes:
        pairs: (source rows, target rows) of each offset. None is the centre of a kernel
            that keeps the voxels: every row with itself.
        sources: Number of input rows.
        targets: Number of output rows.
    """

    pairs: tuple[tuple[Rows, Rows] | None, ...]
    sources: int
    targets: int

    def transposed(self) -> "KernelMap":
        """Return the map from outputs back to inputs, with the same offset order."""
        pairs = tuple(pair and (pair[1], pair[0]) for pair in self.pairs)
        return KernelMap(pairs, self.targets, self.sources)


def neighbour_map(voxels: Voxels) -> KernelMap:
    """Return the map of a 3x3x3 kernel: source = target + offset, missing voxels left out.

    Offsets k and 26 - k are opposite, so 13 are looked up and the others are their swaps.
    """
    rows = len(voxels)
    offsets = [(x, y, z) for z, y, x in product((-1, 0, 1), repeat=3)]
    keys = [voxels.offset(*offset) for offset in offsets[:13]]
    if waits(voxels.keys.device) and rows:
        before = _matches_of_all(voxels, tuple(keys))
    else:
        before = [_matches(voxels, key) for key in keys]
    after = [(target, source) for source, target in reversed(before)]
    return KernelMap((*before, None, *after), rows, rows)


def _matches(voxels: Voxels, offset: int) -> tuple[Rows, Rows]:
    keys = voxels.keys
    wanted = keys + offset
    # Keys are sorted, so the queries are too: the look-up walks through memory.
    found = torch.searchsorted(keys, wanted).clamp_(max=max(len(keys) - 1, 0))
    target = (keys[found] == wanted).nonzero().squeeze(-1) if len(keys) else found
    return found[target], target


def _matches_of_all(voxels: Voxels, offsets: tuple[int, ...]) -> list[tuple[Rows, Rows]]:
    """Look all offsets up at once: an accelerator is waited for twice, not for each of them."""
    keys = voxels.keys
    wanted = keys + constant(offsets, keys.device, torch.int64)[:, None]
    found = torch.searchsorted(keys, wanted).clamp_(max=len(keys) - 1)
    return _pairs_of_all(keys[found] == wanted, found)


def _pairs_of_all(hit: Bool[Tensor, "k v"], source: Int[Tensor, "k v"]) -> list[tuple[Rows, Rows]]:
    """Return (source rows, target rows) of each offset where ``hit``."""
    counts = hit.sum(1).tolist()
    which, target = hit.nonzero(as_tuple=True)  # by offset, then by row
    found = source[which, target]
    return list(zip(found.split(counts), target.split(counts), strict=True))


def child_map(parent: Int[Tensor, " v"], place: Int[Tensor, " v"], parents: int) -> KernelMap:
    """Return the map of a 2x2x2 kernel of stride 2 from voxels to their parents.

    Args:
        parent: Row of each voxel's parent.
        place: Place of each voxel in its parent, 0 to 7: the offset's index.
        parents: Number of parents.
    """
    if waits(place.device):
        hit = place == constant(tuple(range(8)), place.device, place.dtype)[:, None]
        pairs = [(rows, up) for up, rows in _pairs_of_all(hit, parent.expand(8, -1))]
        return KernelMap(tuple(pairs), len(parent), parents)
    children = [(place == k).nonzero().squeeze(-1) for k in range(8)]
    return KernelMap(tuple((rows, parent[rows]) for rows in children), len(parent), parents)
