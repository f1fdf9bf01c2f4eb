"""Contract: the Distiller alternates, averages and resets as planned, and never hides a NaN."""

from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from distillation.make import make
from distillation.toy import (
    TIMES,
    GaussianDenoiser,
    ToyDenoiser,
    blank,
    blank_batches,
    slope,
    toy_distiller,
    toy_plan,
)
from torch import Tensor, nn

from domains.batch import Batch
from domains.distillation.denoiser import Tempered
from domains.distillation.objectives.objective import Objective
from domains.distillation.objectives.sid import SiD
from domains.distillation.objectives.vsd import VSD
from domains.distillation.roles import Draws, Loss, Roles
from domains.distillation.training.distiller import STUDENT, Distiller
from domains.distillation.training.fit import run
from domains.distillation.training.log_table import LogTable
from domains.errors import FewstepError

OBJECTIVES = {name: partial(make, one, times=TIMES) for name, one in (("vsd", VSD), ("sid", SiD))}


def weights(network: nn.Module) -> list[Tensor]:
    return [value.detach().clone() for value in network.state_dict().values()]


def same(left: list[Tensor], right: list[Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(left, right, strict=True))


class Watcher:
    """Notes every optimiser step: whose it is, and which gradients there are."""

    def __init__(self, distiller: Distiller):
        self.distiller = distiller
        self.steps: list[str] = []
        self.gradients: list[dict[str, list[Tensor | None]]] = []
        for role, optimiser in distiller.role_optimisers.items():
            optimiser.register_step_pre_hook(self._note(role))

    def _note(self, role: str) -> Callable[..., None]:
        def note(*_: Any) -> None:
            self.steps.append(role)
            networks = {STUDENT: self.distiller.student, **dict(self.distiller.fakes.items())}
            networks |= {"teacher": self.distiller.teacher, "average": self.distiller.average}
            self.gradients.append(
                {
                    name: [None if p.grad is None else p.grad.clone() for p in net.parameters()]
                    for name, net in networks.items()
                }
            )

        return note


def gaussian_divergence(student: nn.Module, count: int) -> float:
    """KL per coordinate of a one-step Gaussian student's sample to N(m, 0.5²)."""
    t = torch.tensor(0.37)
    assert isinstance(student, GaussianDenoiser)
    k = slope(student.std, t)
    mean, std = student.shift * (1 - t * k), (k * (1 - t)).abs()
    ratio = (std / 0.5) ** 2
    return float(0.5 * (ratio + ((mean - 1) / 0.5) ** 2 - 1 - ratio.log()))


@pytest.mark.parametrize("name", OBJECTIVES)
def test_training_lowers_the_divergence(tmp_path: Path, name: str):
    count = 16
    plan = toy_plan(
        OBJECTIVES[name](),
        batches=lambda index, draws: blank([count] * 16),
        fit={"steps": 120, "ema": 0.8, "log_every": 40},
        steps=1,
        fake_updates=2,
        rate=0.05,
    )
    student, teacher = (GaussianDenoiser(1.0, 0.5, count) for _ in range(2))
    distiller = Distiller(plan, student, teacher)
    before = gaussian_divergence(distiller.average, count)
    assert run(distiller, tmp_path)
    assert before > 0.8
    assert gaussian_divergence(distiller.average, count) < 0.1 * before
    assert float(teacher.shift) == 1 and float(teacher.std) == 0.5


@pytest.mark.parametrize("name", OBJECTIVES)
def test_gradients_reach_the_role_that_steps_and_no_other(tmp_path: Path, name: str):
    distiller = toy_distiller(objective=OBJECTIVES[name]())
    watcher = Watcher(distiller)
    run(distiller, tmp_path)
    assert watcher.steps == ["fake", STUDENT] * 3
    for role, gradients in zip(watcher.steps, watcher.gradients, strict=True):
        for gradient in gradients.pop(role):
            assert gradient is not None and gradient.isfinite().all() and gradient.any()
        assert all(gradient is None for other in gradients.values() for gradient in other)


def test_student_parts_that_were_frozen_stay_frozen(tmp_path: Path):
    student, teacher = ToyDenoiser(1), ToyDenoiser(0)
    student.lift.requires_grad_(False)
    before, after = weights(student.lift), weights(student.drop)
    distiller = Distiller(toy_plan(), student, teacher)
    run(distiller, tmp_path)
    assert same(before, weights(student.lift)) and not same(after, weights(student.drop))
    assert not any(p.requires_grad for p in student.lift.parameters())


def test_a_teacher_that_is_already_frozen_can_be_given(tmp_path: Path):
    distiller = Distiller(toy_plan(), ToyDenoiser(1), ToyDenoiser(0).requires_grad_(False))
    start = weights(distiller.fakes["fake"])
    run(distiller, tmp_path)
    assert not same(start, weights(distiller.fakes["fake"]))


@pytest.mark.parametrize("ratio", [1, 3])
def test_fake_scores_are_updated_in_their_ratio(tmp_path: Path, ratio: int):
    distiller = toy_distiller(fake_updates=ratio)
    watcher = Watcher(distiller)
    run(distiller, tmp_path)
    assert watcher.steps == [*["fake"] * ratio, STUDENT] * 3
    assert Counter(watcher.steps)["fake"] == ratio * Counter(watcher.steps)[STUDENT]
    fakes = [g["fake"][0] for g, role in zip(watcher.gradients, watcher.steps, strict=True)]
    drawn = [g for g in fakes if g is not None]
    assert len({tuple(g.flatten().tolist()) for g in drawn}) == 3 * ratio  # fresh numbers


def test_accumulation_is_the_gradient_of_the_mean(tmp_path: Path):
    many = 3
    distiller = toy_distiller(clip=1e9, fit={"steps": 1, "accumulate": many}, seed=5)
    watcher, plan = Watcher(distiller), distiller.plan
    teacher, fake, student = ToyDenoiser(0), ToyDenoiser(0), ToyDenoiser(1)
    roles = Roles(plan.process, student, teacher, {"fake": fake}, plan.roll_out)
    losses = []
    for micro in range(many):
        draws = Draws((5, 0, 0, micro, "fake"))
        batch = blank_batches(micro, draws)
        losses.append(plan.objective.fake_score_loss("fake", roles, batch, draws).value)
    expected = torch.autograd.grad(torch.stack(losses).mean(), list(fake.parameters()))
    run(distiller, tmp_path)
    found = watcher.gradients[0]["fake"]
    torch.testing.assert_close(found, list(expected))
    logged = LogTable(tmp_path / "log.csv", 1).rows[0]
    assert logged["fake/loss"] == pytest.approx(torch.stack(losses).mean().item(), rel=1e-4)


def test_the_average_ramps_up(tmp_path: Path):
    seen: list[tuple[list[Tensor], list[Tensor]]] = []

    def look(distiller: Distiller) -> dict[str, float]:
        seen.append((weights(distiller.student), weights(distiller.average)))
        return {"quality": 0.0}

    distiller = toy_distiller(fit={"steps": 12, "ema": 0.5, "validate_every": 1})
    average = weights(distiller.average)
    run(distiller, tmp_path, look)
    for step, (student, found) in enumerate(seen):
        decay = min(0.5, (1 + step) / (10 + step))
        average = [decay * a + (1 - decay) * s for a, s in zip(average, student, strict=True)]
        torch.testing.assert_close(found, average)


def test_fake_scores_are_reset_with_their_optimiser(tmp_path: Path):
    fresh: list[tuple[bool, bool]] = []

    def look(distiller: Distiller) -> dict[str, float]:
        assert distiller.teacher is not None
        equal = same(weights(distiller.fakes["fake"]), weights(distiller.teacher))
        fresh.append((equal, not distiller.role_optimisers["fake"].state))
        return {"quality": 0.0}

    fit = {"steps": 7, "validate_every": 1}
    run(toy_distiller(fit=fit, reset_fake_every=3), tmp_path, look)
    assert fresh == [(step % 3 == 0, step % 3 == 0) for step in range(1, 8)]


def test_validation_keeps_the_best_average(tmp_path: Path):
    scores, averages = [0.1, 0.7, float("nan"), 0.7, 0.4], []

    def look(distiller: Distiller) -> dict[str, float]:
        averages.append(weights(distiller.average))
        return {"quality": scores[len(averages) - 1]}

    distiller = toy_distiller(fit={"steps": 10, "validate_every": 2})
    run(distiller, tmp_path, look)
    assert (distiller.best.step, distiller.best.score) == (4, 0.7)
    assert same(list(distiller.best.weights.values()), averages[1])
    logged = [row.get("validation/quality") for row in LogTable(tmp_path / "log.csv", 10).rows]
    assert str(logged[1::2]) == str(scores) and set(logged[::2]) == {None}


def test_a_score_that_is_not_a_number_is_never_the_best():
    distiller = toy_distiller()
    assert not distiller.consider(float("nan"))
    assert distiller.consider(-5.0) and not distiller.consider(float("nan"))
    assert distiller.best.score == -5


@pytest.mark.parametrize("scale", [1.0, 0.5])
def test_the_tempered_teacher_is_what_the_objective_sees(scale: float, tmp_path: Path):
    plain, given = toy_distiller(), partial(Tempered, noise_scale=scale)
    tempered = toy_distiller(as_teacher=given)
    assert run(plain, tmp_path / "plain") and run(tempered, tmp_path / "tempered")
    assert same(weights(plain.student), weights(tempered.student)) == (scale == 1.0)


class Broken(Objective):
    """VSD, of which one part leaves the finite numbers in step 2."""

    fake_scores = ("fake",)

    def __init__(self, role: str, part: str):
        self.role, self.part = role, part
        self.sound = make(VSD, times=TIMES)

    def _break(self, loss: Loss, network: object, role: str, draws: Draws) -> Loss:
        assert isinstance(network, nn.Module)
        value, terms = loss
        if role == self.role and draws.key[1] == 2:
            zero = next(network.parameters()).sum() * 0
            if self.part == "loss":
                value = value + float("nan")
            elif self.part == "gap":
                terms = {**terms, "gap": torch.tensor(float("inf"))}
            elif self.part == "gradient":
                value = value + zero.sqrt()  # 0, with gradient 0 · inf
        return Loss(value, terms)

    def fake_score_loss(self, name: str, roles: Roles, batch: Batch, draws: Draws) -> Loss:
        loss = self.sound.fake_score_loss(name, roles, batch, draws)
        return self._break(loss, roles.fakes[name], name, draws)

    def student_loss(self, roles: Roles, batch: Batch, draws: Draws) -> Loss:
        loss = self.sound.student_loss(roles, batch, draws)
        return self._break(loss, roles.student, STUDENT, draws)


@pytest.mark.parametrize("role", [STUDENT, "fake"])
@pytest.mark.parametrize("part", ["loss", "gap", "gradient"])
def test_what_is_not_finite_is_an_error_that_names_it(tmp_path: Path, role: str, part: str):
    distiller = toy_distiller(objective=Broken(role, part), fit={"checkpoint_every": 1})
    term = "gradient of lift.weight" if part == "gradient" else part
    with pytest.raises(FewstepError, match=f"step 2, role {role}, term {term}"):
        run(distiller, tmp_path)
    # The last checkpoint is whole, and of the step before.
    saved = torch.load(tmp_path / "state" / "step-000000002.pt", weights_only=True)
    for network in saved["networks"].values():
        assert all(value.isfinite().all() for value in network.values())


@pytest.mark.parametrize("role", [STUDENT, "fake"])
def test_weights_that_overflow_are_an_error_before_they_are_saved(tmp_path: Path, role: str):
    distiller = toy_distiller(fit={"checkpoint_every": 1})
    network = distiller.student if role == STUDENT else distiller.fakes[role]
    assert isinstance(network, ToyDenoiser)

    def overflow(*_: Any) -> None:
        network.drop.weight.data[0, 0] = float("inf")

    distiller.role_optimisers[role].register_step_post_hook(overflow)
    with pytest.raises(FewstepError, match=rf"step 0, role {role}, term weight drop\.weight"):
        run(distiller, tmp_path)
    assert not list((tmp_path / "state").glob("*.pt"))


def test_weights_that_came_broken_are_an_error(tmp_path: Path):
    student = ToyDenoiser(1)
    with torch.no_grad():
        student.drop.bias[0] = float("nan")
    with pytest.raises(FewstepError, match="step 0, role fake, term loss"):
        run(Distiller(toy_plan(), student, ToyDenoiser(0)), tmp_path)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_bf16_mixed_trains_weights_that_stay_float32(tmp_path: Path, name: str):
    fit = {"steps": 5, "precision": "bf16-mixed"}
    distiller = toy_distiller(objective=OBJECTIVES[name](), fit=fit)
    exact = toy_distiller(objective=OBJECTIVES[name](), fit={"steps": 5})
    run(distiller, tmp_path / "bf16")
    run(exact, tmp_path / "fp32")
    for rounded, full in zip(weights(distiller.student), weights(exact.student), strict=True):
        assert rounded.dtype == torch.float32 and rounded.isfinite().all()
        torch.testing.assert_close(rounded, full, rtol=0, atol=0.1)
    assert not same(weights(distiller.student), weights(exact.student))
