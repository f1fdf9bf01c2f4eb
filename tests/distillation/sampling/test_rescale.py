"""Contract: a rescaled score is that of sharper modes, whose weights stay as they are."""

import math

import pytest
import torch
from distillation.toy import GaussianDenoiser, ToyDenoiser, blank, template
from torch import Tensor

from domains.batch import Batch
from domains.distillation.noise import KeyedNoise, generator
from domains.distillation.process import FlowMatching
from domains.distillation.sampling.rescale import Rescale, Rescaled
from domains.distillation.sampling.sampler import integrate, last, ode_step, renoise
from domains.distillation.sampling.schedule import sampling_times
from domains.lidar.local_noise import LocalNoise

COUNT, SAMPLES, STD = 40, 64, 0.5
PROCESS = FlowMatching()
COLD = Rescale(sharpness=5.0, spread=STD)


def noise(name: str = "start") -> KeyedNoise:
    return KeyedNoise(generator("rescale", name))


def gaussian() -> GaussianDenoiser:
    return GaussianDenoiser(1.0, STD, COUNT).requires_grad_(False)


@pytest.mark.parametrize("time", [0.0, 0.3, 0.9, 1.0])
def test_a_gaussian_becomes_the_one_of_smaller_variance(time: float):
    t, batch = torch.full((SAMPLES,), time), blank([COUNT] * SAMPLES)
    noisy = PROCESS.perturb(template(COUNT).expand(batch.shape), noise()(batch.shape), t, batch)
    sharper = GaussianDenoiser(1.0, STD / math.sqrt(5), COUNT)
    found = Rescaled(gaussian(), PROCESS, COLD)(noisy, t, batch)
    torch.testing.assert_close(found, sharper(noisy, t, batch).detach(), rtol=1e-4, atol=1e-5)


def test_the_factor_is_one_in_noise_and_k_at_the_data():
    ends, _ = COLD.weights(PROCESS, torch.tensor([0.0, 1.0]))
    torch.testing.assert_close(ends, torch.tensor([1.0, 5.0]))
    for first, last_time in ((0.0, 0.5), (0.5, 1.0), (0.0, 1.0)):
        assert COLD.shrinkage(PROCESS, torch.tensor(first), torch.tensor(last_time)).isfinite()


def test_local_noise_about_an_origin_is_rescaled_about_it():
    process, origin = LocalNoise(), torch.randn(2, COUNT, 3, generator=generator("origin"))
    batch = Batch(blank([COUNT] * 2).mask, origin=origin)
    t = torch.tensor([0.4, 0.8])
    noisy = process.perturb(origin + 0.1, noise()(batch.shape), t, batch)

    def plain(noisy: Tensor, time: Tensor, batch: Batch, previous: Tensor | None = None) -> Tensor:
        return origin + 0.1 * torch.ones(batch.shape)

    found = Rescaled(plain, process, COLD)(noisy, t, batch)
    expected = COLD.weights(process, t)[0][:, None, None] * process.noise_of(
        plain(noisy, t, batch), noisy, t, batch
    )
    torch.testing.assert_close(process.noise_of(found, noisy, t, batch), expected)


@pytest.mark.parametrize("sampler", ["integrate", "renoise"])
def test_the_ode_ends_at_the_sharper_gaussian(sampler: str):
    batch, times = blank([COUNT] * SAMPLES), sampling_times("log", 400)
    if sampler == "integrate":
        made = last(integrate(gaussian(), PROCESS, batch, times, noise(), rescale=COLD))
    else:
        played = renoise(gaussian(), PROCESS, batch, times[:-1], noise(), eta=0.0, rescale=COLD)
        made = last(played)
    assert float((made - template(COUNT)).std()) == pytest.approx(STD / math.sqrt(5), rel=0.04)


class FarGaussians:
    """The exact clean estimate of two Gaussians about ±4 m, of weights .7 and .3."""

    def __call__(
        self, noisy: Tensor, time: Tensor, batch: Batch, previous: Tensor | None = None
    ) -> Tensor:
        t, centre = time[:, None, None], 4 * template(batch.mask.shape[1])
        variance = (t * STD) ** 2 + (1 - t) ** 2
        squares = torch.stack([(noisy - t * c) ** 2 for c in (centre, -centre)]).sum((-2, -1))
        logits = -squares / (2 * variance[:, 0, 0]) + torch.log(torch.tensor([[0.7], [0.3]]))
        share = torch.softmax(logits, 0)
        slope = t * STD**2 / variance
        means = [c + slope * (noisy - t * c) for c in (centre, -centre)]
        return sum(p[:, None, None] * mean for p, mean in zip(share, means, strict=True))


@pytest.mark.parametrize("sharpness", [1.0, 5.0])
def test_far_modes_keep_their_weights(sharpness: float):
    batch, times = blank([5] * 2000), sampling_times("uniform", 400)
    cold = Rescale(sharpness=sharpness, spread=STD)
    made = last(integrate(FarGaussians(), PROCESS, batch, times, noise(), rescale=cold))
    side = (made * template(5)).sum((1, 2)) > 0
    assert float(side.float().mean()) == pytest.approx(0.7, abs=0.03)
    within = made - torch.where(side, 4.0, -4.0)[:, None, None] * template(5)
    expected = STD / math.sqrt(sharpness) * math.sqrt(4 / 5)  # centring takes one point's worth
    assert float(within.std()) == pytest.approx(expected, rel=0.08)


def test_a_sharpness_of_one_is_the_plain_ode():
    batch, times = blank([6, 8]), PROCESS.times(4)
    plain, same = (
        last(renoise(ToyDenoiser(), PROCESS, batch, times, noise(), eta=0.0, rescale=rescale))
        for rescale in (None, Rescale(sharpness=1.0, spread=0.3))
    )
    assert torch.equal(plain, same)


def test_the_last_call_is_plain_and_conditions_are_plain_estimates():
    batch, asked = blank([6, 8]), []

    def spy(noisy: Tensor, time: Tensor, batch: Batch, previous: Tensor | None = None) -> Tensor:
        asked.append(previous)
        return ToyDenoiser()(noisy, time, batch).detach()

    steps = list(
        renoise(
            spy,
            PROCESS,
            batch,
            PROCESS.times(3),
            noise(),
            eta=0.0,
            self_conditioning=True,
            rescale=COLD,
        )
    )
    assert torch.equal(steps[-1].points, steps[-1].clean)
    for given, step in zip(asked[1:], steps, strict=False):
        assert torch.equal(given, step.clean)


def test_one_step_of_many_samples_is_that_of_the_sampler():
    batch, times = blank([6, 8]), PROCESS.times(2)
    steps = list(renoise(ToyDenoiser(), PROCESS, batch, times, noise(), eta=0.0, rescale=COLD))
    first, later = (time.expand(2) for time in times)
    moved = ode_step(PROCESS, steps[0].clean, steps[0].noisy, first, later, batch, COLD)
    torch.testing.assert_close(moved, steps[1].noisy, rtol=1e-4, atol=1e-6)
