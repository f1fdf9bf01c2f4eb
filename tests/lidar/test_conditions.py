"""Contract: an encoded scan goes where its batch goes, and is repeated with it."""

import torch
from tiny_run import LIDAR_NETWORK

from domains.batch import Batch
from domains.distillation.noise import generator
from domains.lidar.conditions import told_to
from domains.lidar.denoiser import LidarDenoiser
from domains.lidar.network.config import NetworkConfig


def encoded() -> tuple[LidarDenoiser, Batch]:
    torch.manual_seed(0)
    denoiser = LidarDenoiser(NetworkConfig.parse(LIDAR_NETWORK, "test")).eval()
    partial = 4 * torch.randn(2, 40, 3, generator=generator("partial"))
    origin = partial.repeat(1, 5, 1)
    mask = torch.ones(2, 200, dtype=torch.bool)
    with torch.no_grad():
        return denoiser, denoiser.encode(Batch(mask, None, origin, {"partial": partial}))


def test_all_of_a_batch_is_moved() -> None:
    _, batch = encoded()
    moved = batch.to("meta")
    condition = told_to(moved)
    tensors = [moved.mask, moved.origin, condition["partial"], condition["encoded"].features]
    assert all(one is not None and one.is_meta for one in tensors)
    assert condition["encoded"].voxels.keys.is_meta


def test_a_repeated_batch_is_answered_as_each_of_its_parts() -> None:
    denoiser, batch = encoded()
    noisy = batch.origin + 0.3 * torch.randn(batch.shape, generator=generator("noise"))
    time = torch.tensor([0.4, 0.7])
    with torch.no_grad():
        one = denoiser(noisy, time, batch)
        three = denoiser(noisy.repeat(3, 1, 1), time.repeat(3), batch.repeated(3))
    torch.testing.assert_close(three, one.repeat(3, 1, 1), rtol=1e-4, atol=1e-5)
