"""Contract: the learning rate is a function of the step: warm-up, cosine, restarts that double."""

import math

import pytest
import torch
from distillation.toy import ToyDenoiser

from domains.distillation.training.optimiser import build_optimiser, learning_rate, set_rate
from domains.distillation.training.settings import Extent, Fit, Optimiser


def rates(steps: int, **settings) -> list[float]:
    config = Optimiser(rate=1.0, **settings)
    fit = Fit(steps=steps)
    return [learning_rate(config, step, fit.progress(Extent(step))) for step in range(steps)]


def test_constant_with_warm_up():
    assert rates(6, warmup=4) == [0.25, 0.5, 0.75, 1, 1, 1]
    assert rates(3) == [1, 1, 1]


def test_cosine_falls_from_the_rate_to_the_floor_at_the_last_step():
    found = rates(11, schedule="cosine", floor=0.1)
    expected = [0.1 + 0.45 * (1 + math.cos(math.pi * k / 10)) for k in range(11)]
    assert found == pytest.approx(expected)
    assert found[0] == 1 and found[-1] == pytest.approx(0.1)
    assert rates(1, schedule="cosine") == [1]


def test_restarts_double_their_period():
    found = rates(40, schedule="cosine_restarts", period=4, floor=0.0)
    assert [step for step, rate in enumerate(found) if rate == 1] == [0, 4, 12, 28]
    half = [4 + 4, 12 + 8]  # half-way through the second and third period
    assert [found[step] for step in half] == pytest.approx([0.5, 0.5])


def test_restarts_are_those_of_torch():
    parameter = torch.nn.Parameter(torch.zeros(1))
    sgd = torch.optim.SGD([parameter], lr=1.0)
    reference = torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(sgd, 5, 2, eta_min=1e-3)
    for rate in rates(50, schedule="cosine_restarts", period=5, floor=1e-3):
        assert rate == pytest.approx(sgd.param_groups[0]["lr"], abs=1e-12)
        sgd.step()
        reference.step()


def test_a_floor_above_the_rate_does_not_raise_it():
    assert learning_rate(Optimiser(rate=1e-7, schedule="cosine", floor=1e-6), 5, 0.6) == 1e-7


def test_optimiser_is_adam_on_what_is_trainable():
    network = ToyDenoiser()
    network.lift.requires_grad_(False)
    optimiser = build_optimiser(network, Optimiser(rate=0.1, beta1=0.0, beta2=0.99))
    assert isinstance(optimiser, torch.optim.Adam)
    (group,) = optimiser.param_groups
    assert group["betas"] == (0.0, 0.99)
    assert {id(p) for p in group["params"]} == {id(p) for p in network.drop.parameters()}
    set_rate(optimiser, 0.25)
    assert group["lr"] == 0.25
