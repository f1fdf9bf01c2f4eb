"""Contract: several teachers are one, which answers each sample as the expert of its class does.

The tests that every objective must pass, with a teacher that is several; who is asked what is
``stages/test_experts.py``'s business, and known densities are ``test_plane_experts.py``'s.
"""

import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from distillation.gaussian_cases import (
    COUNT,
    PROCESS,
    SAMPLES,
    Gaussians,
    Gradient,
    every_roll_out,
    sid_gradient,
    vsd_gradient,
)
from distillation.make import make, one_time
from distillation.test_objectives import module
from distillation.toy import (
    TIMES,
    GaussianDenoiser,
    GaussianStudent,
    SetDraws,
    ToyDenoiser,
    blank,
    toy_distiller,
    toy_plan,
    toy_validation,
)
from torch import Tensor, nn

from domains.batch import Batch
from domains.distillation.denoiser import Denoiser, Routed
from domains.distillation.objectives.objective import Objective
from domains.distillation.objectives.sid import SiD
from domains.distillation.objectives.vsd import VSD
from domains.distillation.roles import Draws, Roles, RollOut
from domains.distillation.training.distiller import Distiller
from domains.distillation.training.fit import run

OTHER, STD = -0.5, 0.5
# Teachers of classes 0 (all else), 1 and 2.
NETWORKS = [ToyDenoiser(seed) for seed in (0, 5, 6)]


def flags(label: int):
    return lambda batch: batch.condition["label"] == label


def told(*labels: int, sizes: tuple[int, ...] = (), length: int | None = None) -> Batch:
    batch = blank(sizes or [6] * len(labels), length)
    return replace(batch, condition={"label": torch.tensor(labels)})


def merged(networks: list[nn.Module]) -> Routed:
    first, *others = networks
    return Routed(first, tuple((flags(k + 1), one) for k, one in enumerate(others)))


def gradient(
    labels: tuple[int, ...], student: Gaussians, steps: int, kind: type[Objective]
) -> Gradient:
    """Of a student's shift and spread; class 1 is around the template, class 2 elsewhere."""
    times = PROCESS.times(steps)
    made = GaussianStudent(student.shift, student.std, COUNT, float(times[0]))
    fake = GaussianDenoiser(student.shift, student.std, COUNT).requires_grad_(False)
    teachers = [GaussianDenoiser(shift, STD, COUNT) for shift in (9.0, 1.0, OTHER)]
    roles = Roles(PROCESS, made, merged(list(teachers)), {"fake": fake}, RollOut(times))
    objective = make(kind, times=one_time(student.time), scale=1.0)
    each = [label for label in labels for _ in range(SAMPLES // len(labels))]
    batch = told(*each, sizes=(COUNT,) * SAMPLES)
    loss = objective.student_loss(roles, batch, Draws(("merged",))).value
    by_shift, by_std = torch.autograd.grad(loss, [made.shift, made.std])
    return float(by_shift), float(by_std)


@every_roll_out
@pytest.mark.parametrize(("kind", "known"), [(VSD, vsd_gradient), (SiD, sid_gradient(1.0))])
def test_1_gradient_is_that_of_each_classs_own_teacher(steps: int, kind, known):
    """By hand it depends on the shift from the teacher's only, which ``Gaussians`` has at 1."""
    student = Gaussians(0.4, 0.8, STD, 0.6)
    each = (known(replace(student, shift=1 + student.shift - shift)) for shift in (1.0, OTHER))
    expected = [sum(pair) / 2 for pair in zip(*each, strict=True)]
    assert gradient((1, 2), student, steps, kind) == pytest.approx(expected, rel=0.02, abs=0.01)


def test_2_only_the_student_learns():
    teachers = [ToyDenoiser(seed) for seed in (0, 5, 6)]
    roles = Roles(
        PROCESS,
        ToyDenoiser(1),
        merged([one.requires_grad_(False) for one in teachers]),
        {"fake": ToyDenoiser(2).requires_grad_(False)},
        RollOut(PROCESS.times(2)),
    )
    batch = told(0, 1, 2, 1)
    make(SiD, times=TIMES).student_loss(roles, batch, Draws(("who",))).value.backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in roles.student.parameters())
    assert all(p.grad is None for one in teachers for p in one.parameters())


def test_3_samples_of_each_class_move_to_its_teacher():
    student = Gaussians(0.25, STD, STD, 0.6)
    assert gradient((1,), student, 1, VSD)[0] < -0.1  # a rises to 1
    assert gradient((2,), student, 1, VSD)[0] > 0.1  # a falls to −.5


def test_4_a_student_that_is_all_of_them_is_at_rest():
    assert gradient((2,), Gaussians(OTHER, STD, STD, 0.6), 1, VSD) == pytest.approx(
        (0, 0), abs=1e-5
    )
    teacher, batch = merged(NETWORKS), told(0, 2, 1, 2)
    roles = Roles(PROCESS, ToyDenoiser(1), teacher, {"fake": teacher}, RollOut(PROCESS.times(2)))
    loss = make(VSD, times=TIMES).student_loss(roles, batch, Draws(("same",)))
    assert all(
        not found.any()
        for found in torch.autograd.grad(loss.value, [*module(roles.student).parameters()])
    )


def test_untold_it_would_be_at_rest_between_them():
    """At the geometric mean of the densities, for all classes alike: why classes are told."""
    assert gradient((1, 2), Gaussians(0.25, STD, STD, 0.6), 1, VSD) == pytest.approx(
        (0, 0), abs=0.01
    )


def answer(batch: Batch, draws: SetDraws, teacher: Denoiser) -> Tensor:
    noisy, previous = draws.noise("noisy")(batch.shape), draws.noise("previous")(batch.shape)
    return teacher(noisy, torch.tensor([0.2, 0.5, 0.8]), batch, previous)


def test_5_padding_and_order_change_nothing():
    sizes, teacher = (5, 7, 6), merged(NETWORKS)
    short, long = (told(2, 0, 1, sizes=sizes, length=length) for length in (7, 12))
    found, padded = (
        answer(batch, SetDraws(("pad",), mask=batch.mask, count=7, fill=fill), teacher)
        for batch, fill in ((short, 0.0), (long, 9.0))
    )
    torch.testing.assert_close(padded[:, :7], found)
    assert not padded[:, 7:].any()
    same = told(2, 0, 1, sizes=(7, 7, 7))
    order = torch.randperm(7, generator=torch.Generator().manual_seed(1))
    plain, permuted = (
        answer(same, SetDraws(("order",), mask=same.mask, count=7, order=chosen), teacher)
        for chosen in (None, order)
    )
    torch.testing.assert_close(permuted, plain[:, order])


class Seen(nn.Module):
    """A denoiser that remembers what it was called with, and answers with its number."""

    def __init__(self, number: float):
        super().__init__()
        self.number, self.calls = number, []

    def forward(self, noisy: Tensor, time: Tensor, batch: Batch, previous=None) -> Tensor:
        self.calls.append((batch.condition["label"].tolist(), time.tolist(), previous))
        return torch.full_like(noisy, self.number)


def test_6_each_is_asked_for_its_own_samples_once():
    networks = [Seen(float(number)) for number in range(3)]
    batch = told(2, 0, 1, 2, 7)
    noisy, time = torch.randn(batch.shape), torch.linspace(0.1, 0.9, 5)
    found = merged(list(networks))(noisy, time, batch, noisy)
    assert found[:, 0, 0].tolist() == [2, 0, 1, 2, 0]
    calls = [one.calls for one in networks]
    assert [labels for ((labels, _, _),) in calls] == [[0, 7], [1], [2, 2]]
    ((_, times, previous),) = calls[2]
    assert times == time[[0, 3]].tolist() and torch.equal(previous, noisy[[0, 3]])
    merged(list(networks))(noisy[:1], time[:1], told(2))
    assert [len(one.calls) for one in networks] == [1, 1, 2] and networks[2].calls[1][2] is None


def test_of_several_experts_of_a_sample_the_first_answers():
    first, second = Seen(1.0), Seen(2.0)
    both = Routed(Seen(0.0), ((flags(1), first), (lambda batch: flags(1)(batch) | True, second)))
    found = both(torch.randn(2, 6, 3), torch.tensor([0.5, 0.5]), told(1, 4))
    assert found[:, 0, 0].tolist() == [1, 2]


def test_rows_of_a_batch_are_its_samples():
    class Other:
        def rows(self, chosen: Tensor) -> str:
            return f"rows {chosen.tolist()}"

    batch = replace(
        told(1, 2, 3, sizes=(4, 5, 6)),
        points=torch.randn(3, 6, 3),
        origin=torch.randn(3, 6, 3),
    )
    batch = replace(
        batch, condition={**batch.condition, "names": ["a", "b", "c"], "other": Other()}
    )
    assert batch.points is not None and batch.origin is not None
    found = batch.rows(torch.tensor([2, 0]))
    assert found.points is not None and found.origin is not None
    assert torch.equal(found.points, batch.points[[2, 0]])
    assert torch.equal(found.origin, batch.origin[[2, 0]]) and found.sizes.tolist() == [6, 4]
    assert found.condition["label"].tolist() == [3, 1] and found.condition["names"] == ["c", "a"]
    assert found.condition["other"] == "rows [2, 0]"


def distiller(stop: int = -1) -> Distiller:
    """A student of three teachers, told a signal to stop while it draws this micro-batch."""

    def batches(index: int, draws: Draws) -> Batch:
        if index == stop:
            os.kill(os.getpid(), signal.SIGTERM)
        return told(*(draws.integer(f"label {k}", 3) for k in range(4)))

    def teacher(network: Denoiser) -> Denoiser:
        return Routed(network, merged(NETWORKS).experts)

    plan = toy_plan(batches=batches, as_teacher=teacher, fit={"steps": 6, "checkpoint_every": 2})
    return toy_distiller(plan)


def test_an_interrupted_training_ends_as_one_that_was_not(tmp_path: Path):
    whole, parts = distiller(), distiller(stop=3)
    assert run(whole, tmp_path / "whole", toy_validation)
    assert not run(parts, tmp_path / "parts", toy_validation) and 0 < parts.done < 6
    parts = distiller()
    assert run(parts, tmp_path / "parts", toy_validation)
    theirs = whole.training_state()["networks"]
    for role, weights in parts.training_state()["networks"].items():
        assert all(torch.equal(value, theirs[role][name]) for name, value in weights.items())
    alone = toy_distiller(replace(distiller().plan, as_teacher=lambda network: network))
    assert run(alone, tmp_path / "alone", toy_validation)
    weights = alone.student.state_dict()
    assert any(not torch.equal(value, theirs["student"][name]) for name, value in weights.items())
