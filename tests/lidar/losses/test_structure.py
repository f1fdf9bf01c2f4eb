"""Contract: distances by nearest neighbours, whatever the order of the points.

They equal brute force, and their gradients equal finite differences also where points coincide.
"""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from domains.batch import Batch
from domains.lidar.losses.structure import chamfer_squared, chamfer_to, nearest_rows, structure


def cloud(count: int, seed: int, scans: int = 2) -> Tensor:
    source = torch.Generator().manual_seed(seed)
    return 5 * torch.randn(scans, count, 3, generator=source, dtype=torch.float64)


def told(truth: Tensor) -> Batch:
    return Batch(mask=torch.ones(truth.shape[:2], dtype=torch.bool), points=truth)


def both(points: Tensor, truth: Tensor) -> Tensor:
    found = structure(points, told(truth))
    assert set(found) == {"scene", "point"}
    return torch.stack([found["scene"], found["point"]])


def test_all_equal_brute_force() -> None:
    points, truth = cloud(50, 0), cloud(70, 1)
    scene, point = [], []
    for ours, theirs, distance in zip(points, truth, chamfer_to(points, told(truth)), strict=True):
        away = torch.cdist(ours, theirs)
        assert torch.equal(nearest_rows(ours, theirs), away.argmin(1))
        forth, back = away.min(1).values, away.min(0).values
        scene.append(forth.square().mean() + back.square().mean())
        torch.testing.assert_close(chamfer_squared(ours, theirs), scene[-1])
        torch.testing.assert_close(distance, (forth.mean() + back.mean()) / 2)
        there = theirs[away.argmin(1)]
        point.append((torch.cdist(ours, ours) - torch.cdist(there, there)).square().mean())
    expected = torch.stack([torch.stack(scene).mean(), torch.stack(point).mean()])
    torch.testing.assert_close(both(points, truth), expected)


@pytest.mark.parametrize(
    "error", [lambda x, y: chamfer_squared(x[0], y[0]), both], ids=["chamfer", "structure"]
)
def test_gradients_equal_finite_differences(error: Callable[[Tensor, Tensor], Tensor]) -> None:
    points, truth = cloud(8, 0), cloud(12, 1)
    assert torch.autograd.gradcheck(lambda x: error(x, truth), points.requires_grad_())


def test_the_order_of_points_does_not_matter() -> None:
    points, truth = cloud(60, 0), cloud(60, 1)
    source = torch.Generator().manual_seed(2)
    ours, theirs = (torch.randperm(60, generator=source) for _ in range(2))
    expected = both(points, truth)
    torch.testing.assert_close(both(points[:, ours], truth), expected)
    torch.testing.assert_close(both(points, truth[:, theirs]), expected)
    # Rows against rows would make this large.
    assert both(truth[:, theirs], truth).max() < 1e-12


def test_a_scene_that_moved_as_a_whole_keeps_its_inner_distances() -> None:
    truth = cloud(60, 0)
    shift = torch.tensor([0.01, -0.02, 0.02], dtype=torch.float64)
    scene, point = both(truth + shift, truth)
    torch.testing.assert_close(scene, 2 * shift.square().sum())
    assert point < 1e-20
    moved = chamfer_to(truth + shift, told(truth))
    torch.testing.assert_close(moved, shift.norm().expand(2))


@pytest.mark.parametrize("repeated", [False, True])
def test_identical_clouds_have_no_error_and_finite_gradients(repeated: bool) -> None:
    truth = cloud(40, 0)
    if repeated:
        truth = truth.repeat(1, 3, 1)
    points = truth.clone().requires_grad_()
    found = both(points, truth)
    found.sum().backward()
    assert points.grad is not None and torch.equal(points.grad, torch.zeros_like(truth))
    assert torch.equal(found, torch.zeros(2, dtype=torch.float64))


def test_preferences_have_no_gradient() -> None:
    truth = cloud(40, 0)
    assert not chamfer_to(cloud(40, 1).requires_grad_(), told(truth)).requires_grad


def street(count: int) -> Tensor:
    """A scan as dense as a scanner's: most points near the sensor, a few far away."""
    source = torch.Generator().manual_seed(3)
    reach = 0.5 * torch.rand(count, 1, generator=source, dtype=torch.float64).exp() ** 5
    return reach * torch.nn.functional.normalize(cloud(count, 4, scans=1)[0], dim=-1)


def test_key_points_are_the_farthest_of_the_scan_each_of_one_copy() -> None:
    scan, copies = street(1500), 3
    batch = told(cloud(300, 1, scans=1))
    batch = replace(batch, condition={"partial": scan[None]})
    points = (scan.repeat(copies, 1) + 0.01 * cloud(4500, 2, scans=1)[0])[None].requires_grad_()
    structure(points, batch)["point"].backward()
    assert points.grad is not None
    used = torch.nonzero(points.grad[0].abs().sum(1))[:, 0]
    assert len(used) == 512 == len((used % 1500).unique())
    assert torch.bincount(used // 1500, minlength=copies).min() > 165
    # No place of the scan is farther from a key point than the two nearest are from each other.
    keys, every = scan[used % 1500], torch.cdist(scan, scan)
    nearest = torch.cdist(keys, keys).fill_diagonal_(torch.inf).min()
    assert torch.cdist(scan, keys).min(1).values.max() <= nearest + 1e-6
    # What rows taken evenly would not be.
    assert every[::3, ::3].clone().fill_diagonal_(torch.inf).min() < nearest / 3
