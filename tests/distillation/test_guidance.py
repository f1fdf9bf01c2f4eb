"""Contract: fake scores are guided as asked, in the student's loss and in their own apart.

Data are N(a m, c²) without the condition and N(b m, c²) with it, so that a guided estimate is
that of N((w b + (1 − w) a) m, c²).
"""

from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
from distillation.gaussian_cases import (
    CASES,
    COUNT,
    PROCESS,
    SAMPLES,
    Case,
    Gaussians,
    vsd_gradient,
)
from distillation.make import make, one_time
from distillation.test_objectives import toy_roles
from distillation.toy import TIMES, GaussianDenoiser, GaussianStudent, blank, toy_distiller
from distillation.training.test_distiller import same, weights
from torch import Tensor

from domains.batch import Batch
from domains.distillation.denoiser import Denoiser, Guided, Tempered
from domains.distillation.objectives.adversarial import Listener
from domains.distillation.objectives.vsd import VSD
from domains.distillation.roles import Draws, Roles, RollOut
from domains.distillation.training.fit import run

STD, TIME = 0.5, 0.6
every_weight = pytest.mark.parametrize("weight", [2.0, 1.0, 0.5, 0.0, -1.0])


def guided(fake: Denoiser, weight: float, alone: float) -> Guided:
    return Guided(fake, weight, GaussianDenoiser(alone, STD, COUNT).requires_grad_(False))


@every_weight
def test_1_the_student_follows_the_guided_fake_score(weight: float):
    shift, alone, times = 1.4, 0.8, PROCESS.times(1)
    student = GaussianStudent(shift, STD, COUNT, float(times[0]))
    teacher, fake = (GaussianDenoiser(a, STD, COUNT).requires_grad_(False) for a in (1.0, shift))
    as_fake = partial(guided, weight=weight, alone=alone)
    roles = Roles(PROCESS, student, teacher, {"fake": fake}, RollOut(times), as_fake)
    at = one_time(TIME)
    batch, draws = blank([COUNT] * SAMPLES), Draws(("guided",))
    loss = make(VSD, times=at).student_loss(roles, batch, draws).value
    found = float(torch.autograd.grad(loss, student.shift)[0])
    plain = vsd_gradient(Gaussians(shift, STD, STD, TIME))[0]
    expected = plain * (weight * shift + (1 - weight) * alone - 1) / (shift - 1)
    assert found == pytest.approx(expected, rel=0.02, abs=0.01)


@pytest.mark.parametrize("weight", [2.0, -1.0])
def test_1_a_fake_score_learns_so_that_its_guided_estimate_is_the_students(weight: float):
    shift, alone, times = 1.3, 0.8, PROCESS.times(1)
    student = GaussianStudent(shift, STD, COUNT, float(times[0])).requires_grad_(False)
    best = (shift - (1 - weight) * alone) / weight
    at = one_time(TIME)

    def gradient(by: float) -> float:
        fake = GaussianDenoiser(best + by, STD, COUNT)
        as_fake = partial(guided, weight=weight, alone=alone)
        roles = Roles(PROCESS, student, None, {"fake": fake}, RollOut(times), as_fake)
        batch, draws = blank([COUNT] * SAMPLES), Draws(("learning",))
        loss = make(VSD, times=at).fake_score_loss("fake", roles, batch, draws).value
        return float(torch.autograd.grad(loss, fake.shift)[0])

    assert gradient(0.0) == pytest.approx(0, abs=0.03)
    assert gradient(0.3) > 0.1 and gradient(-0.3) < -0.1


def test_each_loss_sees_its_own_role(tmp_path: Path):
    """The first update of the fake score comes before the student's."""
    other = partial(Tempered, noise_scale=0.5)
    settings = {"plain": {}, "asked": {"as_fake": other}, "learning": {"as_learning_fake": other}}
    made = {}
    for name, changes in settings.items():
        made[name] = toy_distiller(fit={"steps": 1}, **changes)
        assert run(made[name], tmp_path / name)
    fakes = {name: weights(each.fakes["fake"]) for name, each in made.items()}
    students = {name: weights(each.student) for name, each in made.items()}
    assert same(fakes["plain"], fakes["asked"]) and not same(fakes["plain"], fakes["learning"])
    assert not same(students["plain"], students["asked"])


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_every_loss_of_every_objective_plays_its_fake_scores_as_it_is_told(case: Case):
    asked: list[Denoiser] = []

    def noted(fake: Denoiser) -> Denoiser:
        asked.append(fake)
        return fake

    roles, batch, draws = replace(toy_roles(2), as_fake=noted), blank([6, 8]), Draws(("played",))
    objective = case.build(TIMES)
    objective.student_loss(roles, batch, draws)
    assert asked and set(asked) <= set(roles.fakes.values())
    for name in objective.fake_scores:
        asked.clear()
        objective.fake_score_loss(name, roles, batch, draws)
        assert asked == [roles.fakes[name]]


def test_what_a_judge_says_is_of_the_call_with_the_condition():
    def judge(denoiser: Denoiser, noisy: Tensor, time: Tensor, batch: Batch):
        logits = torch.full(batch.mask.shape, float("told" in batch.condition))
        return denoiser(noisy, time, batch), logits

    fake = GaussianDenoiser(1.0, STD, COUNT)
    listener = Listener(Roles(PROCESS, fake, fakes={"fake": fake}), "fake", judge)
    batch = Batch(blank([COUNT]).mask, condition={"told": 1})

    def alone(noisy: Tensor, time: Tensor, batch: Batch, previous: Tensor | None = None) -> Tensor:
        return listener(noisy, time, Batch(batch.mask), previous)

    Guided(listener, 2.0, alone)(torch.randn(batch.shape), torch.tensor([0.5]), batch)
    assert (listener.logits == 1).all()
