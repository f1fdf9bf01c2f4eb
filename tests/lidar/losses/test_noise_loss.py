"""Contract: LiDiff's loss of predicted noise, by hand and by its own program.

A perfect prediction has no error; one batch in ten is told nothing, one scan always something.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from lidar.tiny_denoiser import scans
from torch import Tensor

from domains.batch import Batch
from domains.distillation.roles import Draws
from domains.distillation.times import Times
from domains.lidar.denoiser import LidarDenoiser
from domains.lidar.local_noise import LocalNoise
from domains.lidar.losses.noise_loss import lidiff_loss, noise_loss

PROCESS = LocalNoise()
Predict = Callable[[Tensor, Tensor, Batch], Tensor]


def predicting(monkeypatch: pytest.MonkeyPatch, model: LidarDenoiser, predict: Predict) -> None:
    """Put a rule in the place of the network."""
    monkeypatch.setattr(model, "noise", predict)


def test_loss_by_hand() -> None:
    source = np.random.default_rng(0)
    predicted, noise = 1.3 * source.standard_normal((2, 50, 3)) + 0.2, source.random((2, 50, 3))
    found = noise_loss(torch.from_numpy(predicted), torch.from_numpy(noise))
    moments = predicted.mean() ** 2 + (predicted.std(ddof=1) - 1) ** 2
    assert float(found) == pytest.approx(((predicted - noise) ** 2).mean() + 5 * moments)


def test_golden_loss(golden: Path) -> None:
    file = golden / "lidar" / "net_cr0.25.npz"
    with np.load(file) as arrays:
        if "train_loss" not in arrays:
            pytest.skip(f"{file} holds no loss")
        predicted, noise, loss = (
            torch.from_numpy(np.asarray(arrays[name])).double()
            for name in ("train_eps", "noise", "train_loss")
        )
    torch.testing.assert_close(noise_loss(predicted, noise), loss, atol=1e-5, rtol=0)


def test_a_perfect_prediction_has_no_error(model: LidarDenoiser, monkeypatch) -> None:
    batch = scans()

    def perfect(noisy: Tensor, time: Tensor, _: Batch) -> Tensor:
        assert batch.points is not None
        return (noisy - batch.points) / PROCESS.sigma(time)[:, None, None]

    predicting(monkeypatch, model, perfect)
    loss = lidiff_loss(model, PROCESS, batch, Draws((0,)))
    # What is left are the moments of 1,200 numbers.
    assert loss.diagnostics["noise"] < 1e-6 and 0 < loss.value < 0.05
    predicting(monkeypatch, model, lambda noisy, *_: torch.zeros_like(noisy))
    nothing = lidiff_loss(model, PROCESS, batch, Draws((0,)))
    assert float(nothing.value) == pytest.approx(float(nothing.diagnostics["noise"]) + 5)
    assert float(nothing.diagnostics["noise"]) == pytest.approx(1, abs=0.15)


def test_draws_decide_everything(model: LidarDenoiser, monkeypatch) -> None:
    predicting(monkeypatch, model, lambda noisy, *_: noisy)
    first, again, other = (
        lidiff_loss(model, PROCESS, scans(), Draws((key,))).value for key in (0, 0, 1)
    )
    assert torch.equal(first, again) and not torch.equal(first, other)


def test_timesteps_are_uniform_and_the_condition_is_dropped_in_one_of_ten_batches(
    model: LidarDenoiser, monkeypatch: pytest.MonkeyPatch
) -> None:
    for count, batches, share in ((1, 50, 0.0), (2, 300, 0.1)):
        batch, steps, dropped = scans(count), [], []

        def record(
            noisy: Tensor, time: Tensor, told: Batch, steps=steps, dropped=dropped
        ) -> Tensor:
            steps.append(PROCESS.timestep(time))
            dropped.append("partial" not in told.condition)
            return noisy

        predicting(monkeypatch, model, record)
        for key in range(batches):
            lidiff_loss(model, PROCESS, batch, Draws((key,)))
        assert np.mean(dropped) == pytest.approx(share, abs=0.5 * share)
    drawn = torch.cat(steps).float()
    assert drawn.mean() == pytest.approx(499.5, abs=50)
    assert drawn.min() < 20 and drawn.max() > 980


def test_without_regulariser_it_is_the_plain_error_at_drawn_times(model, monkeypatch) -> None:
    """An overconfident prediction has no moments to hold; times are those that are asked for."""
    batch, seen = scans(), []

    def double(noisy: Tensor, time: Tensor, _: Batch) -> Tensor:
        assert batch.points is not None
        seen.append(time)
        return 2 * (noisy - batch.points) / PROCESS.sigma(time)[:, None, None]

    predicting(monkeypatch, model, double)
    times = Times(kind="uniform", low=0.8, high=0.9)
    plain = lidiff_loss(model, LocalNoise(regularised=False), batch, Draws((0,)), times)
    held = lidiff_loss(model, PROCESS, batch, Draws((0,)), times)
    assert float(plain.value) == pytest.approx(1, abs=0.1) and held.value > plain.value + 3
    assert all(((time >= 0.8) & (time <= 0.9)).all() for time in seen)
