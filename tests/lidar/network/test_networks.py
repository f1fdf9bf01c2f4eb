"""Contract: what a network computes does not depend on how it is asked.

With gradients and without, in any order of points, at any width and voxel size, and for
clouds of few points; what it is given stays as it was.
"""

from functools import partial

import pytest
import torch
from lidar.clouds import normal_points, voxel_cloud
from torch import Tensor

from domains.errors import FewstepError
from domains.lidar.network import ConditionEncoder, NetworkConfig, NoisePredictor, Refinement
from domains.lidar.sparse import Cloud

CONFIG = NetworkConfig(width=0.25, voxel_size=0.2)
STEP = torch.tensor([500])
cloud_of = partial(voxel_cloud, size=CONFIG.voxel_size)


@pytest.fixture(scope="module")
def networks() -> tuple[ConditionEncoder, NoisePredictor, Refinement]:
    """Networks with random weights and random running statistics, in evaluation mode."""
    torch.manual_seed(0)
    made = ConditionEncoder(CONFIG), NoisePredictor(CONFIG), Refinement(CONFIG)
    for network in made:
        for name, buffer in network.named_buffers():
            if name.endswith("running_mean"):
                buffer.normal_()
            if name.endswith("running_var"):
                buffer.uniform_(0.5, 2)
        network.eval()
    return made


def outputs(networks, cloud: Cloud, partial: Tensor) -> list[Tensor]:
    encoder, model, refinement = networks
    condition = encoder(cloud_of(partial))
    empty = encoder.unconditional(1)
    return [model(cloud, STEP, condition), model(cloud, STEP, empty), refinement(cloud)]


def test_results_are_the_same_with_gradients_and_again(networks) -> None:
    cloud, partial = cloud_of(normal_points()), normal_points(50)
    before = cloud.mean.features.clone()
    with_gradients = outputs(networks, cloud, partial)
    with torch.inference_mode():
        for _ in range(2):
            for found, expected in zip(
                outputs(networks, cloud, partial), with_gradients, strict=True
            ):
                assert expected.requires_grad
                torch.testing.assert_close(found, expected.detach(), atol=1e-5, rtol=1e-5)
    assert torch.equal(cloud.mean.features, before)


def test_condition_matters_and_can_be_used_again(networks) -> None:
    encoder, model, _ = networks
    cloud = cloud_of(normal_points())
    with torch.inference_mode():
        first, other = encoder(cloud_of(normal_points(50))), encoder(cloud_of(normal_points(20)))
        features = first.features.clone()
        found = [model(cloud, STEP, condition) for condition in (first, other, first)]
        later = model(cloud, STEP - 400, first)
    assert torch.equal(found[0], found[2]) and torch.equal(first.features, features)
    assert not torch.allclose(found[0], found[1]) and not torch.allclose(found[0], later)


def test_noise_follows_its_points(networks) -> None:
    order = torch.randperm(200, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        first = outputs(networks, cloud_of(normal_points()), normal_points(50))
        second = outputs(networks, cloud_of(normal_points()[order]), normal_points(50))
    for straight, permuted in zip(first, second, strict=True):
        torch.testing.assert_close(straight[order], permuted, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("count", [0, 1])
def test_clouds_of_no_point_and_of_one(networks, count: int) -> None:
    with torch.inference_mode():
        for out in outputs(networks, cloud_of(normal_points(count)), normal_points(50)):
            assert len(out) == count and out.isfinite().all()


def test_points_without_a_condition_are_refused(networks) -> None:
    with pytest.raises(FewstepError, match="empty condition"):
        outputs(networks, cloud_of(normal_points()), normal_points(0))


def test_refinement_offsets_are_within_a_metre(networks) -> None:
    out = networks[2](cloud_of(normal_points()))
    assert out.shape == (200, 6, 3) and out.abs().max() <= 1


def test_every_parameter_of_the_noise_predictor_is_trained(networks) -> None:
    encoder, model, _ = networks
    out = model(cloud_of(normal_points()), STEP, encoder(cloud_of(normal_points(50))))
    parameters = [*encoder.named_parameters(), *model.named_parameters()]
    gradients = torch.autograd.grad(out.square().sum(), [value for _, value in parameters])
    silent = [name for (name, _), g in zip(parameters, gradients, strict=True) if not g.any()]
    assert silent == []


def test_widths_scale_and_voxels_are_part_of_the_configuration() -> None:
    assert CONFIG.channels == (8, 8, 16, 32, 64, 64, 32, 24, 24)
    assert NetworkConfig().channels == (32, 32, 64, 128, 256, 256, 128, 96, 96)
    with pytest.raises(ValueError, match="greater than"):
        NetworkConfig(voxel_size=0)
