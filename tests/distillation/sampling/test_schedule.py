"""Contract: time grids start at exactly 0 and end at exactly 1; roll-outs use SiD's times."""

import math
from typing import get_args

import pytest
import torch

from domains.distillation.sampling.schedule import (
    Diffusion,
    Grid,
    diffusion_coefficient,
    renoise_times,
    sampling_times,
)
from domains.errors import FewstepError


@pytest.mark.parametrize("steps", [1, 2, 10, 400])
@pytest.mark.parametrize("grid", get_args(Grid))
def test_grids_rise_from_exactly_zero_to_exactly_one(grid: Grid, steps: int):
    times = sampling_times(grid, steps)
    assert times.shape == (steps + 1,) and times.dtype == torch.float32
    assert times[0] == 0 and times[-1] == 1
    assert (times.diff() >= 0).all()


def test_log_grid_is_proteinas():
    index = torch.arange(401, dtype=torch.float64)
    expected = (1 - 10 ** (-2 * index / 400)) / (1 - 0.01)
    times = sampling_times("log", 400).double()
    torch.testing.assert_close(times, expected, rtol=0, atol=2e-7)


def test_power_and_uniform_grids():
    assert sampling_times("uniform", 4).tolist() == [0, 0.25, 0.5, 0.75, 1]
    assert sampling_times("power", 2, 3.0).tolist() == [0, 0.125, 1]


def test_roll_out_of_ten_steps_is_the_recipe():
    positions = [30, 71, 112, 153, 194, 236, 277, 318, 359, 400]
    expected = torch.tensor([1 - 10 ** (-2 * s / 400) for s in positions])
    torch.testing.assert_close(renoise_times(10), expected, rtol=0, atol=2e-7)


def test_one_step_is_taken_at_its_own_time():
    assert renoise_times(1).tolist() == [pytest.approx(0.37, abs=1e-7)]


@pytest.mark.parametrize("steps", [2, 4, 8, 16])
def test_roll_outs_go_from_029_to_099(steps: int):
    times = renoise_times(steps)
    assert len(times) == steps and (times.diff() > 0).all()
    assert float(times[0]) == pytest.approx(1 - 10 ** (-0.15), abs=1e-6)
    assert float(times[-1]) == pytest.approx(0.99, abs=1e-6)


@pytest.mark.parametrize("make", [renoise_times, lambda k: sampling_times("log", k)])
def test_no_steps_is_an_error(make):
    with pytest.raises(FewstepError, match="at least 1, got 0"):
        make(0)


def test_diffusion_coefficients():
    times = torch.tensor([0.0, 0.5, 0.99])
    tan = [
        math.pi / 2 * math.sin(q) / (math.cos(q) + 0.01)
        for q in ((1 - t) * math.pi / 2 for t in times.tolist())
    ]
    expected = {
        "1/t": [100, 1 / 0.51, 1.0],
        "us": [100, 0.5 / 0.51, 0.01],
        "tan": tan,
    }
    for kind in get_args(Diffusion):
        found = diffusion_coefficient(times, kind).tolist()
        assert found == pytest.approx(expected[kind], rel=1e-4), kind


def test_diffusion_maximum_and_power():
    times = sampling_times("log", 20)[:-1]
    plain = diffusion_coefficient(times)
    assert diffusion_coefficient(times, maximum=5.0).max() == 5
    assert (diffusion_coefficient(times, maximum=1e9) == plain).all()
    sharp = diffusion_coefficient(times, power=2.0)
    centred = (plain.log() - plain.log().mean()).double()
    squeezed = torch.sigmoid(centred) ** 2
    expected = torch.logit(squeezed, eps=1e-6) + plain.log().mean()
    torch.testing.assert_close(sharp.log().double(), expected, rtol=1e-4, atol=1e-4)
    assert not torch.allclose(sharp, plain)


def test_diffusion_is_finite_at_the_ends():
    for kind in get_args(Diffusion):
        assert diffusion_coefficient(torch.tensor([0.0, 1.0]), kind).isfinite().all()
