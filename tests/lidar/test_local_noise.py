"""Contract: LiDiff's noise, in times that grow towards the data."""

from pathlib import Path

import numpy as np
import pytest
import torch

from domains.batch import Batch
from domains.lidar.local_noise import STEPS, LocalNoise, time_of

PROCESS = LocalNoise()
TIMES = time_of(torch.arange(STEPS))


def normal(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


def test_every_timestep_survives_being_a_time() -> None:
    assert PROCESS.timestep(TIMES).tolist() == list(range(STEPS))
    assert TIMES.max() == 1 and TIMES.min() > 0


def test_sigma_is_that_of_the_golden_schedule(golden: Path) -> None:
    file = golden / "lidar" / "scheduler.npz"
    if not file.exists():
        pytest.skip("scheduler.npz is not among these golden values")
    with np.load(file) as arrays:
        expected = torch.from_numpy(arrays["sigma_t"])
    torch.testing.assert_close(PROCESS.sigma(TIMES), expected, rtol=5e-4, atol=2e-6)


def test_sigma_falls_towards_the_data() -> None:
    sigma = PROCESS.sigma(TIMES)
    assert (sigma[1:] > sigma[:-1]).all()
    assert float(sigma[0]) == pytest.approx(3.5e-5**0.5)


def test_points_are_never_scaled_nor_centred() -> None:
    clean, noise, place = normal(3, 2, 30, 3)
    clean = clean + 9
    time = torch.tensor([0.3, 0.9])
    for origin in (None, place):
        batch = Batch(torch.ones(2, 30, dtype=torch.bool), origin=origin)
        noisy = PROCESS.perturb(clean, noise, time, batch)
        expected = clean + PROCESS.sigma(time)[:, None, None] * noise
        torch.testing.assert_close(noisy, expected, atol=1e-5, rtol=0)
        back = PROCESS.noise_of(clean, noisy, time, batch)
        torch.testing.assert_close(back, noise, atol=1e-4, rtol=0)
        again = PROCESS.clean_of_noise(noise, noisy, time, batch)
        torch.testing.assert_close(again, clean, atol=1e-5, rtol=0)


def test_weight_makes_the_error_one_of_noise() -> None:
    time = torch.tensor([0.2, 0.8])
    weight = PROCESS.denoising_weight(time) * PROCESS.sigma(time) ** 2
    torch.testing.assert_close(weight, torch.ones(2))


def test_regulariser_is_that_of_each_samples_noise() -> None:
    batch = Batch(torch.ones(2, 400, dtype=torch.bool))
    batch.mask[1, 300:] = False
    (noisy, noise), time = normal(2, 2, 400, 3), torch.tensor([0.3, 0.6])
    noise = noise * torch.tensor([1.0, 0.5])[:, None, None] + 0.1
    noise[1, 300:] = 99
    clean = PROCESS.clean_of_noise(noise, noisy, time, batch)
    found = PROCESS.regulariser(clean, noisy, time, batch)
    for k, count in enumerate((400, 300)):
        real = noise[k, :count]
        expected = 5 * (real.mean() ** 2 + (real.std() - 1) ** 2)
        torch.testing.assert_close(found[k], expected, rtol=1e-3, atol=1e-4)
    assert found[0] < 0.1 < found[1]
