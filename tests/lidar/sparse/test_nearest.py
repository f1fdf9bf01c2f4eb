"""Contract: the nearest anchor of the same scan, exactly; ties go to the first coordinates."""

import pytest
import torch

from domains.errors import FewstepError
from domains.lidar.sparse import Voxels
from domains.lidar.sparse.nearest import nearest, nearest_by_distance, nearest_by_tree


def cloud(seed: int, count: int, step: int, spread: int) -> Voxels:
    source = torch.Generator().manual_seed(seed)
    xyz = torch.randint(-spread, spread, (count, 3), generator=source) * step
    return Voxels(Voxels.key(torch.arange(count) * 2 // count, xyz).unique(), step)


@pytest.mark.parametrize("spread", [3, 40])
@pytest.mark.parametrize("seed", range(3))
def test_equals_an_exhaustive_search(seed: int, spread: int) -> None:
    queries, anchors = cloud(seed, 400, 1, 16 * spread), cloud(seed + 9, 80, 16, spread)
    found = nearest(queries, anchors)
    apart = (queries.xyz[:, None] - anchors.xyz[None]).pow(2).sum(-1)
    apart[queries.scan[:, None] != anchors.scan[None]] = 1 << 40
    # Rows are in lexicographic order, and the first smallest is wanted.
    first = (apart * len(anchors) + torch.arange(len(anchors))).argmin(1)
    assert torch.equal(found, first)


def test_both_routes_agree_where_all_tie() -> None:
    queries = torch.tensor([[8, 8, 8], [8, 0, 8], [24, 8, 0]])
    anchors = torch.cartesian_prod(*[torch.arange(3) * 16] * 3)
    expected = nearest_by_distance(queries, anchors)
    assert torch.equal(nearest_by_tree(queries, anchors), expected)
    assert expected.tolist() == [0, 0, 9]


def test_a_scan_without_anchors_is_an_error() -> None:
    anchors = cloud(0, 10, 16, 3)
    alone = Voxels(anchors.keys[anchors.scan == 0], 16)
    with pytest.raises(FewstepError, match="scan 1"):
        nearest(cloud(1, 10, 1, 3), alone)
