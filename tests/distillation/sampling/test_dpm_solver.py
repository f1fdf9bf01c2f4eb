"""Contract: SDE-DPM-Solver++ gives diffusers' traces, and keeps nothing between scans."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from domains.batch import Batch
from domains.distillation.denoiser import Denoiser
from domains.distillation.noise import KeyedNoise
from domains.distillation.process import FlowMatching
from domains.distillation.sampling.dpm_solver import solve
from domains.errors import FewstepError
from domains.lidar.local_noise import LocalNoise, solver_timesteps, time_of

PROCESS = LocalNoise()
STEPS = [1, 2, 3, 4, 8, 16, 50]


def traces(golden: Path, steps: int) -> dict[str, Tensor]:
    file = golden / "lidar" / "scheduler.npz"
    if not file.exists():
        pytest.skip("scheduler.npz is not among these golden values")
    with np.load(file) as arrays:
        if f"x_{steps}" not in arrays:
            pytest.skip(f"the trace of {steps} steps is not among these golden values")
        names = ("timesteps", "x", "eps", "noise")
        return {name: torch.from_numpy(arrays[f"{name}_{steps}"]) for name in names}


def given(values: list[Tensor]):
    """A source that gives these draws in turn."""
    left: Iterator[Tensor] = iter(values)

    def draw(shape: tuple[int, int, int]) -> Tensor:
        value = next(left)
        assert tuple(value.shape) == shape
        return value

    return draw


def predicting(noises: Tensor) -> Denoiser:
    """A denoiser that predicts these noises in turn."""
    left = iter(noises)

    def denoise(noisy: Tensor, time: Tensor, batch: Batch, previous: Tensor | None = None):
        return noisy - PROCESS.sigma(time)[:, None, None] * next(left)

    return denoise


@pytest.mark.parametrize("steps", STEPS)
@pytest.mark.parametrize("origin", [0.0, 7.5])
def test_golden_traces(golden: Path, steps: int, origin: float) -> None:
    values = traces(golden, steps)
    start, *states = values["x"]
    batch = Batch(torch.ones(1, 40, dtype=torch.bool), origin=torch.full((1, 40, 3), origin))
    noise = given([start, *values["noise"]])
    denoiser = predicting(values["eps"])
    played = list(solve(denoiser, PROCESS, batch, PROCESS.times(steps), noise))
    assert len(played) == len(states) == steps
    for step, expected in zip(played, states, strict=True):
        # Far from the origin, float32 coordinates leave less of a noise times a small σ.
        close = 1e-3 if origin else 1e-4
        torch.testing.assert_close(step.points - origin, expected, rtol=2e-4, atol=close)


@pytest.mark.parametrize("steps", STEPS)
def test_golden_timesteps(golden: Path, steps: int) -> None:
    expected = traces(golden, steps)["timesteps"]
    assert solver_timesteps(steps).tolist() == expected.tolist()
    assert PROCESS.timestep(PROCESS.times(steps)).tolist() == expected.tolist()


def test_half_timesteps_round_to_even() -> None:
    assert solver_timesteps(6).tolist() == [999, 832, 666, 500, 333, 166]


@pytest.mark.parametrize("steps", [0, 1000])
def test_impossible_numbers_of_steps_are_one_line(steps: int) -> None:
    with pytest.raises(FewstepError, match="number of sampling steps"):
        solver_timesteps(steps)


@pytest.mark.parametrize("steps", [1, 2, 5, 14, 15, 50])
def test_perfect_denoiser_ends_at_its_points(steps: int) -> None:
    """Where the noise is known, all offsets end within the last σ of zero."""
    origin = torch.randn(2, 500, 3, generator=torch.Generator().manual_seed(1))
    batch = Batch(torch.ones(2, 500, dtype=torch.bool), origin=origin)

    def denoise(noisy: Tensor, time: Tensor, batch: Batch, previous: Tensor | None = None):
        assert batch.origin is not None
        return batch.origin

    noise = KeyedNoise(torch.Generator().manual_seed(0))
    *_, last = solve(denoise, PROCESS, batch, PROCESS.times(steps), noise)
    assert batch.origin is not None
    spread = float((last.points - batch.origin).std())
    end = float(PROCESS.sigma(time_of(torch.zeros(1))))
    assert spread == pytest.approx(end, rel=0.1)


def test_scans_share_no_history() -> None:
    batch = Batch(torch.ones(1, 30, dtype=torch.bool), origin=torch.zeros(1, 30, 3))

    def denoise(noisy: Tensor, time: Tensor, batch: Batch, previous: Tensor | None = None):
        return torch.tanh(noisy)

    def run() -> Tensor:
        noise = KeyedNoise(torch.Generator().manual_seed(3))
        *_, last = solve(denoise, PROCESS, batch, PROCESS.times(4), noise)
        return last.points

    assert torch.equal(run(), run())


def test_padding_stays_at_zero() -> None:
    mask = torch.ones(1, 6, dtype=torch.bool)
    mask[0, 4:] = False
    batch = Batch(mask, origin=torch.ones(1, 6, 3) * mask[..., None])

    def denoise(noisy: Tensor, time: Tensor, batch: Batch, previous: Tensor | None = None):
        return noisy * batch.mask[..., None]

    noise = KeyedNoise(torch.Generator().manual_seed(0))
    for step in solve(denoise, PROCESS, batch, PROCESS.times(3), noise):
        assert (step.points[0, 4:] == 0).all() and step.points[0, :4].isfinite().all()


def test_flow_matching_has_its_own_sampler() -> None:
    """σ(t) = 1 at t = 0 has no finite signal-to-noise ratio: nothing may pass as a sample."""
    batch = Batch(torch.ones(1, 4, dtype=torch.bool))
    noise = KeyedNoise(torch.Generator().manual_seed(0))
    process = FlowMatching()
    played = solve(lambda x, t, b, p=None: x, process, batch, torch.zeros(1), noise)
    assert not next(played).points.isfinite().all()
