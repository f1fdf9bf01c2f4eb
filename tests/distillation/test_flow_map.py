"""Contract: each step of a student learns where the teacher's ODE takes its input."""

import math
import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from distillation.gaussian_cases import PROCESS
from distillation.learning import check_only_the_student_learns
from distillation.make import make
from distillation.test_adversarial import orders
from distillation.test_objectives import losses_and_gradients, toy_roles
from distillation.toy import GaussianDenoiser, SetDraws, ToyDenoiser, blank, template, toy_plan
from torch import Tensor, nn

from domains.batch import Batch
from domains.distillation.objectives.flow_map import FlowMap, _play, superposed
from domains.distillation.roles import Draws, Roles, RollOut
from domains.distillation.sampling.rescale import Rescale, Rescaled
from domains.distillation.training.distiller import Distiller
from domains.distillation.training.fit import run
from domains.errors import FewstepError

COUNT, SAMPLES, STD, STEPS = 40, 48, 0.5, 3
COLD = Rescale(sharpness=4.0, spread=STD)
ROLL_OUT = RollOut(PROCESS.times(STEPS), eta=0.0)


def roles_of(
    student: nn.Module, rescale: Rescale | None = None, roll_out: RollOut = ROLL_OUT
) -> Roles:
    """A student of the exact teacher of N(m, .5²)."""
    teacher = GaussianDenoiser(1.0, STD, COUNT).requires_grad_(False)
    cold = teacher if rescale is None else Rescaled(teacher, PROCESS, rescale)
    return Roles(PROCESS, student, cold, roll_out=roll_out)


class ExactMap(nn.Module):
    """The flow map of the ODE of N(m, S²): x − t m grows by sqrt(t'² S² + (1 − t')²).

    It answers with the clean estimate whose one Euler step goes there.
    """

    def __init__(self, std: float, shift: float = 1.0):
        super().__init__()
        self.std, self.shift = std, nn.Parameter(torch.tensor(shift))

    def forward(
        self, noisy: Tensor, time: Tensor, batch: Batch, previous: Tensor | None = None
    ) -> Tensor:
        times = ROLL_OUT.times
        place = (time[:, None] - times).abs().argmin(1)
        t, later = time[:, None, None], times[(place + 1).clamp(max=STEPS - 1)][:, None, None]
        mean = self.shift * template(COUNT)
        spread = [((s * self.std) ** 2 + (1 - s) ** 2).sqrt() for s in (t, later)]
        end = later * mean + spread[1] / spread[0] * (noisy - t * mean)
        needed = ((1 - t) * end - (1 - later) * noisy) / (later - t).clamp(min=1e-6)
        slope = t * STD**2 / ((t * STD) ** 2 + (1 - t) ** 2)
        final = mean + slope * (noisy - t * mean)
        return torch.where((place == STEPS - 1)[:, None, None], final, needed)


def loss_of(student: nn.Module, objective: FlowMap, rescale: Rescale | None = None) -> Tensor:
    batch = blank([COUNT] * SAMPLES)
    return objective.student_loss(roles_of(student, rescale), batch, Draws(("map",))).value


@pytest.mark.parametrize("rescale", [None, COLD], ids=["plain", "cold"])
def test_1_the_exact_flow_map_has_nothing_to_learn(rescale: Rescale | None):
    sharper = STD / math.sqrt(COLD.sharpness if rescale else 1.0)
    losses = [
        float(loss_of(ExactMap(sharper), make(FlowMap, substeps=m, huber=1e-6), rescale).detach())
        for m in (2, 8, 64)
    ]
    assert losses[0] > losses[1] > losses[2]
    assert losses[2] < 0.004
    # The map of another temperature is told apart.
    assert (
        float(loss_of(ExactMap(1.6 * sharper), make(FlowMap, substeps=64), rescale).detach()) > 0.02
    )


class ExactEnd(ExactMap):
    """The clean estimate at ``until``, where the flow takes the only step's input."""

    until = 0.95

    def forward(
        self, noisy: Tensor, time: Tensor, batch: Batch, previous: Tensor | None = None
    ) -> Tensor:
        t, u, mean = time[:, None, None], self.until, self.shift * template(COUNT)
        spread = [((s * self.std) ** 2 + (1 - s) ** 2) ** 0.5 for s in (t, u)]
        away = spread[1] / spread[0] * (noisy - t * mean)
        return mean + u * STD**2 / spread[1] ** 2 * away


def test_1_the_last_step_goes_on_to_where_it_is_told():
    objective = make(FlowMap, substeps=64, huber=1e-6, last_until=ExactEnd.until)
    batch, rolled = blank([COUNT] * SAMPLES), RollOut(ROLL_OUT.times[:1], eta=0.0)

    def loss(student: nn.Module) -> float:
        roles = roles_of(student, roll_out=rolled)
        return float(objective.student_loss(roles, batch, Draws(("map",))).value.detach())

    assert loss(ExactEnd(STD)) < 0.01 < 0.1 < loss(GaussianDenoiser(1.0, STD, COUNT))


def test_the_last_step_cannot_go_back():
    with pytest.raises(FewstepError, match=r"last_until.*later than 0\.99.*got 0\.95"):
        loss_of(ExactMap(STD), make(FlowMap, last_until=0.95))


def test_1_one_sub_step_of_the_plain_ode_is_the_students_own_step():
    student = GaussianDenoiser(1.0, STD, COUNT)
    assert float(loss_of(student, make(FlowMap, substeps=1)).detach()) < 1e-6


def test_2_only_the_student_learns():
    check_only_the_student_learns(make(FlowMap, substeps=2), toy_roles(2, deterministic=True))


def test_3_a_step_goes_towards_the_end():
    found = []
    for shift in (0.8, 1.0, 1.2):
        student = ExactMap(STD, shift)
        loss = loss_of(student, make(FlowMap, substeps=16))
        found.append((float(loss.detach()), float(torch.autograd.grad(loss, student.shift)[0])))
    (low, up), (at, _), (high, down) = found
    assert up < 0 < down and at < min(low, high)


def test_4_every_step_of_every_sample_is_trained():
    batch, seen = blank([COUNT] * 2), []

    class Spy(ToyDenoiser):
        def forward(
            self, noisy: Tensor, time: Tensor, batch: Batch, previous: Tensor | None = None
        ) -> Tensor:
            if torch.is_grad_enabled():
                seen.extend(time.tolist())
            return super().forward(noisy, time, batch, previous)

    make(FlowMap, substeps=2).student_loss(roles_of(Spy()), batch, Draws(("every",)))
    assert sorted(seen) == sorted(ROLL_OUT.times.tolist() * 2)


@pytest.mark.parametrize("weight", [0.0, 2.0], ids=["points", "and their distances"])
def test_5_padding_and_masked_points_change_nothing(weight: float):
    def result(length: int, fill: float) -> list[Tensor]:
        mask = blank([5, 7], length).mask
        draws = SetDraws(("padding",), mask=mask, count=7, fill=fill)
        objective = make(FlowMap, substeps=2, pair_distances=weight)
        return losses_and_gradients(objective, 2, draws, length, deterministic=True)

    torch.testing.assert_close(result(7, 0.0), result(12, 9.0), rtol=1e-4, atol=1e-6)


def test_5_permuting_points_changes_neither_loss_nor_gradient():
    found = [
        losses_and_gradients(make(FlowMap, substeps=2), 2, draws, 7, (7, 7), deterministic=True)
        for _, draws in orders()
    ]
    torch.testing.assert_close(*found, rtol=1e-4, atol=1e-6)


def test_6_inputs_and_conditions_are_those_of_the_sampler():
    asked: list[tuple[Tensor, Tensor | None]] = []

    class Spy(ToyDenoiser):
        def forward(
            self, noisy: Tensor, time: Tensor, batch: Batch, previous: Tensor | None = None
        ) -> Tensor:
            if torch.is_grad_enabled():
                asked.append((noisy, previous))
            shift = 0 if previous is None else 0.1 * previous
            return super().forward(noisy, time, batch) + shift

    rolled = RollOut(PROCESS.times(STEPS), eta=0.0, self_conditioning=True)
    roles, batch = roles_of(Spy(), roll_out=rolled), blank([COUNT] * 2)
    make(FlowMap, substeps=1).student_loss(roles, batch, Draws(("six",)))
    steps = list(rolled.steps(roles.student, PROCESS, batch, Draws(("six",))))
    (first, none), (rest, previous) = asked[:2]
    torch.testing.assert_close(torch.cat([first, rest]), torch.cat([s.noisy for s in steps]))
    assert none is None and previous is not None
    torch.testing.assert_close(previous, torch.cat([step.clean for step in steps[:-1]]))


def test_weights_choose_what_is_trained():
    """Only the last step counts: its target is the teacher's own estimate."""
    student = GaussianDenoiser(0.6, STD, COUNT)
    only_last = make(FlowMap, substeps=4, step_weights=(0.0, 0.0, 1.0))
    rows = _play(roles_of(student), blank([COUNT] * SAMPLES), Draws(("map",)), range(STEPS))
    last = rows.noisy[-SAMPLES:], rows.time[-SAMPLES:], blank([COUNT] * SAMPLES)
    teacher = GaussianDenoiser(1.0, STD, COUNT)
    error = PROCESS.target(student(*last) - teacher(*last), last[2])
    square = error.square().mean((1, 2))
    expected = ((square + 0.02**2).sqrt() - 0.02).mean() / STEPS * STEPS
    found = loss_of(student, only_last)
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-6)


def test_drawn_steps_are_as_frequent_as_their_weights():
    objective = make(FlowMap, drawn_steps=2, step_weights=(3.0, 2.0, 1.0, 0.0, 2.0))
    drawn = [objective._chosen(5, Draws((number,))) for number in range(2000)]
    assert all(len(set(steps)) == 2 and steps == sorted(steps) for steps in drawn)
    counts = torch.zeros(5)
    for steps in drawn:
        counts[steps] += 1
    expected = torch.tensor([0.75, 0.5, 0.25, 0.0, 0.5])
    torch.testing.assert_close(counts / 2000, expected, rtol=0, atol=0.05)


def test_drawn_steps_have_the_weighted_loss_of_all_in_the_mean():
    student, weights = GaussianDenoiser(0.6, STD, COUNT), (2.0, 2.0, 1.0)
    whole = loss_of(student, make(FlowMap, substeps=2, step_weights=weights))
    one_hot = torch.eye(STEPS).tolist()
    alone = [
        loss_of(student, make(FlowMap, substeps=2, step_weights=tuple(one), drawn_steps=1))
        for one in one_hot
    ]
    mean = sum(odds * loss for odds, loss in zip((0.4, 0.4, 0.2), alone, strict=True))
    torch.testing.assert_close(whole, mean)
    assert float(alone[0].detach()) != float(alone[1].detach())


def test_distances_are_weighed_beside_the_points():
    def loss(**settings: float) -> tuple[float, dict[str, Tensor]]:
        batch, objective = blank([COUNT] * SAMPLES), make(FlowMap, substeps=8, **settings)
        found = objective.student_loss(roles_of(ExactMap(STD * 1.3)), batch, Draws(("map",)))
        return float(found.value.detach()), found.diagnostics

    alone, _ = loss()
    both, noted = loss(pair_distances=3.0, near=2.0)
    assert noted["pair_distance_error"] > 0.001
    assert both == pytest.approx(alone + 3 * float(noted["pair_distance_error"]), rel=1e-5)


def test_a_turned_target_costs_nothing_when_aligned():
    from domains.distillation.noise import generator

    source = generator("turn")
    batch = blank([6, 8])
    points = torch.randn(2, 8, 3, generator=source) * batch.mask[..., None]
    turn, _ = torch.linalg.qr(torch.randn(2, 3, 3, generator=source))
    turn = turn * torch.linalg.det(turn).sign()[:, None, None]
    moved = (points @ turn + 3.0) * batch.mask[..., None]
    torch.testing.assert_close(superposed(moved, points, batch), points, rtol=1e-4, atol=1e-5)
    mirrored = points * torch.tensor([1.0, 1.0, -1.0])
    assert (superposed(mirrored, points, batch) - points).square().mean() > 0.01


def test_an_interrupted_training_ends_bit_for_bit_as_a_whole_one(tmp_path: Path):
    def finished(directory: Path, *stops: int) -> list[Tensor]:
        for stop in stops:  # a signal in the middle of this step
            assert not run(training(stop), directory)
        distiller = training(None)
        assert run(distiller, directory)
        return [value.clone() for value in distiller.student.state_dict().values()]

    def training(stop: int | None) -> Distiller:
        plan = toy_plan(make(FlowMap, substeps=2), fit={"steps": 6, "checkpoint_every": 2})
        rolled = RollOut(PROCESS.times(STEPS), eta=0.0)

        def batches(index: int, draws: Draws) -> Batch:
            if index == stop:
                os.kill(os.getpid(), signal.SIGTERM)
            return plan.batches(index, draws)

        stopping = replace(plan, roll_out=rolled, batches=batches)
        return Distiller(stopping, ToyDenoiser(1), ToyDenoiser(0))

    whole, parts = finished(tmp_path / "whole"), finished(tmp_path / "parts", 1, 4)
    assert all(torch.equal(a, b) for a, b in zip(whole, parts, strict=True))
    untrained = list(ToyDenoiser(1).state_dict().values())
    assert not any(torch.equal(a, b) for a, b in zip(whole, untrained, strict=True))
