"""Contract: single sparse layers equal MinkowskiEngine's, and a dense convolution's."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from domains.errors import FewstepError
from domains.lidar.sparse import Cloud, Voxels, voxelise

SIZE = 0.05


@pytest.fixture(scope="module")
def ops(golden: Path) -> dict[str, torch.Tensor]:
    with np.load(golden / "lidar" / "ops.npz") as arrays:
        return {name: torch.from_numpy(np.asarray(value)) for name, value in arrays.items()}


def two_scans(ops: dict[str, torch.Tensor]) -> Cloud:
    points = torch.cat([ops["p0"], ops["p1"]])
    scan = torch.cat([torch.zeros(len(ops["p0"])), torch.ones(len(ops["p1"]))]).long()
    return voxelise(points, scan, SIZE)


def rows(voxels: Voxels) -> torch.Tensor:
    return torch.cat([voxels.scan[:, None], voxels.xyz], 1)


# Name, operation and the level it starts from; a pointwise layer is a matrix.
LAYERS = (
    ("k3s1", "convolve", 0),
    ("k2s2", "down", 0),
    ("k3s1_at2", "convolve", 1),
    ("k1", "pointwise", 1),
    ("k2s2_b", "down", 1),
    ("t2s2", "up", 2),
    ("t2s2_b", "up", 1),
)
COARSER = {"convolve": 0, "pointwise": 0, "down": 1, "up": -1}


def layers(ops: dict[str, torch.Tensor], cloud: Cloud) -> Iterator[tuple[str, torch.Tensor, int]]:
    """Yield name, features and level after each layer of the golden chain."""
    pyramid, x = cloud.mean.pyramid, cloud.mean.features
    for name, operation, level in LAYERS:
        kernel = ops[f"w_{name}"]
        pointwise = operation == "pointwise"
        x = x @ kernel if pointwise else getattr(pyramid, operation)(x, kernel, level)
        yield name, x, level + COARSER[operation]


def test_voxels_and_mean_positions(ops: dict[str, torch.Tensor]) -> None:
    cloud = two_scans(ops)
    assert torch.equal(rows(cloud.mean.voxels), ops["vox_C"].long())
    torch.testing.assert_close(cloud.mean.features, ops["vox_F"], atol=1e-5, rtol=0)


def test_every_layer_and_its_coordinates(ops: dict[str, torch.Tensor]) -> None:
    cloud = two_scans(ops)
    for name, features, level in layers(ops, cloud):
        assert torch.equal(rows(cloud.mean.pyramid.voxels(level)), ops[f"{name}_C"].long()), name
        torch.testing.assert_close(features, ops[f"{name}_F"], atol=1e-5, rtol=1e-5, msg=name)
    torch.testing.assert_close(features[cloud.inverse], ops["slice"], atol=1e-5, rtol=1e-5)


def test_gradients_of_every_kernel(ops: dict[str, torch.Tensor]) -> None:
    cloud = two_scans(ops)
    given = {n: v.clone().requires_grad_(n.startswith("w_")) for n, v in ops.items()}
    *_, (_, out, _) = layers(given, cloud)
    out[cloud.inverse].backward(ops["grad_out"])
    for name, kernel in given.items():
        if name.startswith("w_"):
            torch.testing.assert_close(kernel.grad, ops[f"g{name}"], atol=1e-4, rtol=1e-4, msg=name)


def test_equals_a_dense_convolution() -> None:
    source = torch.Generator().manual_seed(0)
    occupied = (torch.rand(7, 6, 5, generator=source) < 0.4).nonzero()
    cloud = voxelise(occupied.double() * SIZE, torch.zeros(len(occupied)).long(), SIZE)
    xyz = cloud.mean.voxels.xyz
    features = torch.randn(len(xyz), 2, generator=source, dtype=torch.float64)
    kernel = torch.randn(27, 2, 4, generator=source, dtype=torch.float64)
    dense = torch.zeros(2, 7, 6, 5, dtype=torch.float64)
    dense[:, xyz[:, 0], xyz[:, 1], xyz[:, 2]] = features.T
    # Offsets run with x fastest: [z, y, x, in, out] to torch's [out, in, x, y, z].
    weight = kernel.view(3, 3, 3, 2, 4).permute(4, 3, 2, 1, 0)
    expected = F.conv3d(dense[None], weight, padding=1)[0][:, xyz[:, 0], xyz[:, 1], xyz[:, 2]].T
    torch.testing.assert_close(cloud.mean.pyramid.convolve(features, kernel, 0), expected)


@pytest.mark.parametrize("operation", ["convolve", "down", "up"])
def test_derivatives(operation: str) -> None:
    source = torch.Generator().manual_seed(1)
    points = torch.randn(40, 3, generator=source) * 0.15
    pyramid = voxelise(points, torch.zeros(40).long(), SIZE).mean.pyramid
    level, offsets = (1, 8) if operation == "up" else (0, 27 if operation == "convolve" else 8)
    shape = len(pyramid.voxels(level)), 2
    features = torch.randn(shape, generator=source, dtype=torch.float64, requires_grad=True)
    kernel = torch.randn(offsets, 2, 3, generator=source, dtype=torch.float64, requires_grad=True)
    function = getattr(pyramid, operation)
    assert torch.autograd.gradcheck(lambda x, w: function(x, w, level), (features, kernel))


def test_half_boundaries_round_to_even_and_negative_coordinates_floor() -> None:
    points = torch.tensor([[0.5, 1.5, -0.5], [-3.0, -1.0, 2.0]]) * 0.5
    voxels = voxelise(points, torch.zeros(2).long(), 0.5).mean.voxels
    assert voxels.xyz.tolist() == [[-3, -1, 2], [0, 2, 0]]
    assert voxels.coarser()[0].xyz.tolist() == [[-4, -2, 2], [0, 2, 0]]


def test_a_point_that_cannot_be_voxelised_is_one_line() -> None:
    for value in (float("nan"), float("inf"), 1e9):
        with pytest.raises(FewstepError, match="cannot be voxelised"):
            voxelise(torch.tensor([[value, 0.0, 0.0]]), torch.zeros(1).long(), SIZE)
