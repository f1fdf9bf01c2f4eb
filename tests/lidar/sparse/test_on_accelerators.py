"""Contract: what accelerators compute in another way is what a CPU computes.

There is none here: a CPU takes the paths that are made for them.
"""

import pytest
import torch

from domains.lidar.sparse import Voxels, convolution, kernel_map, nearest
from domains.lidar.sparse.kernel_map import KernelMap, child_map, neighbour_map
from domains.lidar.sparse.nearest import nearest_by_distance, nearest_by_grid


def voxels(seed: int, count: int, spread: int, stride: int = 1) -> Voxels:
    source = torch.Generator().manual_seed(seed)
    xyz = torch.randint(-spread, spread, (count, 3), generator=source) * stride
    return Voxels(Voxels.key(torch.arange(count) * 2 // count, xyz).unique(), stride)


def same(ours: KernelMap, theirs: KernelMap) -> bool:
    assert (ours.sources, ours.targets) == (theirs.sources, theirs.targets)
    for a, b in zip(ours.pairs, theirs.pairs, strict=True):
        assert (a is None) == (b is None)
        if a is not None and b is not None:
            assert torch.equal(a[0], b[0]) and torch.equal(a[1], b[1])
    return True


@pytest.mark.parametrize("stride", [1, 4])
@pytest.mark.parametrize("count", [0, 1, 300])
def test_kernel_maps_are_equal(monkeypatch: pytest.MonkeyPatch, count: int, stride: int):
    some = voxels(0, count, 5, stride) if count else Voxels(torch.zeros(0, dtype=torch.long))
    up, parent, place = some.coarser()
    here = neighbour_map(some), child_map(parent, place, len(up))
    monkeypatch.setattr(kernel_map, "waits", lambda device: True)
    assert same(neighbour_map(some), here[0])
    assert same(child_map(parent, place, len(up)), here[1])


@pytest.mark.parametrize("gradient", [False, True])
def test_convolutions_are_equal(monkeypatch: pytest.MonkeyPatch, gradient: bool):
    monkeypatch.setattr(convolution, "_BUFFER", 20)
    some, source = voxels(1, 200, 4), torch.Generator().manual_seed(0)
    features = torch.randn(len(some), 5, generator=source, requires_grad=gradient)
    kernel = torch.randn(27, 5, 3, generator=source, requires_grad=gradient)
    found = []
    for late in (False, True):
        monkeypatch.setattr(convolution, "waits", lambda device, late=late: late)
        out = convolution.convolve(features, kernel, neighbour_map(some))
        grads = torch.autograd.grad(out.square().sum(), (features, kernel)) if gradient else ()
        found.append([out, *grads])
    for a, b in zip(*found, strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize("spread", [3, 12, 60])
@pytest.mark.parametrize("edge", [1, 2, 16])
@pytest.mark.parametrize("reach", [1, 3])
def test_a_grid_finds_what_comparing_all_does(
    monkeypatch: pytest.MonkeyPatch, spread: int, edge: int, reach: int
):
    """Nearby, far away and outside of all anchors; in small and large pieces."""
    monkeypatch.setattr(nearest, "_REACH", reach)
    monkeypatch.setattr(nearest, "_PIECE", 500)
    source = torch.Generator().manual_seed(spread)
    anchors = torch.randint(-spread, spread, (150, 3), generator=source).unique(dim=0) * edge
    width = int(1.5 * spread * edge) + 1
    queries = torch.randint(-width, width, (700, 3), generator=source)
    queries[0], queries[1] = 100_000, anchors[7]
    found = nearest_by_grid(queries, anchors, edge)
    assert torch.equal(found, nearest_by_distance(queries, anchors))
    assert found[1] == 7


def test_ties_go_to_the_first_coordinates():
    anchors = torch.cartesian_prod(*[torch.arange(3) * 16] * 3)
    queries = torch.tensor([[8, 8, 8], [8, 0, 8], [24, 8, 0]])
    assert nearest_by_grid(queries, anchors, 16).tolist() == [0, 0, 9]
    assert nearest_by_grid(queries[:0], anchors, 16).tolist() == []


def test_the_grid_is_asked_for_scans_of_their_own(monkeypatch: pytest.MonkeyPatch):
    queries, anchors = voxels(3, 400, 90), voxels(4, 60, 6, 16)
    expected, asked = nearest.nearest(queries, anchors), []
    grid = nearest.nearest_by_grid
    monkeypatch.setattr(nearest, "waits", lambda device: True)
    monkeypatch.setattr(
        nearest, "nearest_by_grid", lambda *a, **k: asked.append(k["edge"]) or grid(*a, **k)
    )
    assert torch.equal(nearest.nearest(queries, anchors), expected)
    assert asked == [16, 16]


@pytest.mark.parametrize("centre", [True, False])
def test_half_precision_is_summed_in_single(centre: bool):
    some, source = voxels(1, 300, 4), torch.Generator().manual_seed(0)
    up, parent, place = some.coarser()
    pairs = neighbour_map(some) if centre else child_map(parent, place, len(up))
    features = torch.randn(len(some), 8, generator=source, requires_grad=True)
    kernel = torch.randn(len(pairs.pairs), 8, 4, generator=source, requires_grad=True)
    found = []
    for half in (False, True):
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            out = convolution.convolve(features, kernel, pairs)
        grads = torch.autograd.grad(out.square().sum(), (features, kernel))
        found.append([out, *grads])
    for exact, rounded in zip(*found, strict=True):
        assert rounded.dtype == torch.float32
        assert 0 < (exact - rounded).norm() < 0.01 * exact.norm()
