"""Contract: a convolution is one linear map however it is cut, and keeps no pair in memory."""

from collections.abc import Callable

import pytest
import torch
from lidar.clouds import normal_points
from torch import Tensor

from domains.lidar.sparse import Pyramid, convolution, voxelise

SIZE = 0.05
OPERATIONS = {"convolve": (27, 0), "down": (8, 0), "up": (8, 1)}


def points(count: int = 300) -> Tensor:
    """Points of two scans at both sides of the origin, about six neighbours each."""
    return normal_points(count, 0.15)


def pyramid_of(points: Tensor) -> Pyramid:
    return voxelise(points, torch.arange(len(points)) % 2, SIZE).mean.pyramid


def layer(name: str, pyramid: Pyramid) -> tuple[Callable[[Tensor, Tensor], Tensor], Tensor, Tensor]:
    """An operation of a pyramid, with random features and kernel that want gradients."""
    offsets, level = OPERATIONS[name]
    source = torch.Generator().manual_seed(1)
    features = torch.randn(len(pyramid.voxels(level)), 3, generator=source, dtype=torch.float64)
    kernel = torch.randn(offsets, 3, 4, generator=source, dtype=torch.float64)
    operation = getattr(pyramid, name)
    return (
        lambda x, w: operation(x, w, level),
        features.requires_grad_(),
        kernel.requires_grad_(),
    )


def results(name: str) -> list[Tensor]:
    """Output and both gradients."""
    operation, features, kernel = layer(name, pyramid_of(points()))
    out = operation(features, kernel)
    return [out.detach(), *torch.autograd.grad(out.sin().sum(), [features, kernel])]


@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("buffer", [1, 40])
def test_pieces_change_nothing(name: str, buffer: int, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = results(name)
    monkeypatch.setattr(convolution, "_BUFFER", buffer)
    for pieces, expected in zip(results(name), whole, strict=True):
        torch.testing.assert_close(pieces, expected)


@pytest.mark.parametrize("name", OPERATIONS)
def test_is_the_same_to_the_last_bit_each_time(name: str) -> None:
    for first, second in zip(results(name), results(name), strict=True):
        assert torch.equal(first, second)


@pytest.mark.parametrize("name", OPERATIONS)
def test_autograd_keeps_features_and_kernel_only(name: str) -> None:
    operation, features, kernel = layer(name, pyramid_of(points()))
    kept: list[Tensor] = []
    with torch.autograd.graph.saved_tensors_hooks(lambda x: kept.append(x) or x, lambda x: x):
        operation(features, kernel)
    assert [tensor.shape for tensor in kept] == [features.shape, kernel.shape]


def test_up_is_the_transpose_of_down() -> None:
    pyramid = pyramid_of(points())
    down, x, kernel = layer("down", pyramid)
    y = torch.randn(len(pyramid.voxels(1)), 4, dtype=torch.float64)
    back = pyramid.up(y, kernel.transpose(1, 2), 1)
    torch.testing.assert_close((down(x, kernel) * y).sum(), (x * back).sum())


def test_order_of_points_does_not_matter() -> None:
    cloud = points()
    order = torch.randperm(len(cloud), generator=torch.Generator().manual_seed(2))
    scan = torch.arange(len(cloud)) % 2
    first, second = voxelise(cloud, scan, SIZE), voxelise(cloud[order], scan[order], SIZE)
    assert torch.equal(first.mean.voxels.keys, second.mean.voxels.keys)
    assert torch.equal(first.inverse[order], second.inverse)
    torch.testing.assert_close(first.mean.features, second.mean.features)


@pytest.mark.parametrize("name", OPERATIONS)
def test_empty_cloud(name: str) -> None:
    operation, features, kernel = layer(name, pyramid_of(points(0)))
    out = operation(features, kernel)
    assert out.shape == (0, 4)
    out.sum().backward()
    assert kernel.grad is not None and not kernel.grad.any()


def test_one_voxel_meets_the_centre_of_the_kernel_only() -> None:
    operation, features, kernel = layer("convolve", pyramid_of(points(1)))
    torch.testing.assert_close(operation(features, kernel), features @ kernel[13])
