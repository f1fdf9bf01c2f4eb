"""Contract: objectives learn the plane's mixture, whose weights and spread are known.

One or two calls of the exact teacher, re-noised, are far from it: the modes are twice as wide.
"""

import pytest
import torch
from distillation.make import make
from test_plane_field import CLOUD, PROCESS, WEIGHTS, Exact, modes, trained

from domains.batch import Batch
from domains.distillation.noise import KeyedNoise, generator
from domains.distillation.objectives.boot import Boot
from domains.distillation.objectives.consistency import Consistency
from domains.distillation.objectives.consistency_training import ConsistencyTraining
from domains.distillation.roles import Draws, RollOut
from domains.distillation.sampling.sampler import last, renoise

from fewstep_plane.mixture import draw  # isort: skip: on the path since test_plane_field

WEIGHT = float(WEIGHTS[0])


def real(draws: Draws) -> Batch:
    mask = torch.ones(16, 64, dtype=torch.bool)
    return Batch(mask, draw((16, 64, 3), draws.source("real")))


def untrained(steps: int) -> tuple[float, float]:
    noise = KeyedNoise(generator("untrained"))
    return modes(last(renoise(Exact(), PROCESS, CLOUD, PROCESS.times(steps), noise)))


def test_boot_finds_the_mixture_in_one_call_without_data() -> None:
    roll_out = RollOut(PROCESS.times(1), eta=0.0)
    weight, std = trained(make(Boot, grid=16), roll_out, Exact(), 600)
    assert weight == pytest.approx(WEIGHT, abs=0.06) and std < 0.85 * untrained(1)[1]


def test_consistency_in_merging_segments_finds_the_mixture() -> None:
    objective = make(Consistency, draw=real, segments=(4, 2, 1))
    weight, std = trained(objective, RollOut(PROCESS.times(2)), Exact(), 600)
    assert weight == pytest.approx(WEIGHT, abs=0.1) and std < 0.75 * untrained(2)[1]


def test_consistency_training_finds_the_mixture_without_a_teacher() -> None:
    objective = make(ConsistencyTraining, draw=real, double_every=150)
    weight, std = trained(objective, RollOut(PROCESS.times(2)), None, 600)
    assert weight == pytest.approx(WEIGHT, abs=0.1) and std < 0.75 * untrained(2)[1]
