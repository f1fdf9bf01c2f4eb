"""Contract: consistency training learns the ends of trajectories from data, without a teacher."""

import pytest
import torch
from distillation.gaussian_cases import PROCESS
from distillation.learning import module
from distillation.make import make
from distillation.test_adversarial import orders, small
from distillation.test_consistency import COUNT, STD, Ends, data
from distillation.test_objectives import losses_and_gradients, toy_roles
from distillation.toy import SetDraws, ToyDenoiser, blank
from torch import Tensor

from domains.distillation.objectives.consistency_training import (
    ConsistencyTraining,
    ConsistencyTrainingConfig,
)
from domains.distillation.roles import Draws, Roles
from domains.lidar.local_noise import LocalNoise

# Mostly of the smallest noises, where the data are the target.
NEAR = {"first_grid": 8, "last_grid": 8, "low": 0.9, "high": 0.97, "log_mean": -3.0}
HUBER = 100.0


def gradient(std: float, settings: dict[str, float]) -> float:
    """Of a loss that is quadratic: 2 c times it is the mean square."""
    objective = make(ConsistencyTraining, draw=data, huber=HUBER, **settings)
    found = []
    for k in range(60):
        student = Ends(std)
        roles = Roles(PROCESS, student)
        loss = objective.student_loss(roles, blank([COUNT]), Draws(("ends", k))).value
        found.append(float(torch.autograd.grad(loss, student.std)[0]))
    return HUBER * sum(found) / len(found)


def gradient_by_hand(std: float, settings: dict[str, float]) -> float:
    """Σ p w E[(f − f') u]: f = m + s u with s to be learned, u of variance 1 and its correlation.

    f' is the same at the next level, and the data at the last: with r² = t² .5² + (1 − t)²,
    E[u u'] = (t t' .5² + (1 − t)(1 − t')) / (r r') and E[(x − m) u] = t .5² / r.
    """
    objective = make(ConsistencyTraining, **settings)
    t, levels = objective._grid(PROCESS, settings["first_grid"])
    counts = torch.bincount(objective._drawn(levels, 400_000, Draws(("many",))))
    weight = 1 / (levels - torch.cat([levels[1:], torch.zeros(1)]))
    r = ((t * STD) ** 2 + (1 - t) ** 2).sqrt()
    product = (t[1:] * t[:-1] * STD**2 + (1 - t[1:]) * (1 - t[:-1])) / (r[1:] * r[:-1])
    error = torch.cat([std * (1 - product), std - t[-1:] * STD**2 / r[-1:]])
    return float((counts / counts.sum() * weight * error).sum() * (COUNT - 1) / COUNT)


@pytest.mark.parametrize("std", [0.3, 0.7])
@pytest.mark.parametrize(
    "settings", [NEAR, {**NEAR, "low": 0.2, "first_grid": 3, "log_mean": -1.0}], ids=["near", "far"]
)
def test_1_gradient_of_gaussians_is_the_known_one(std: float, settings: dict[str, float]):
    expected = gradient_by_hand(std, settings)
    assert gradient(std, settings) == pytest.approx(expected, rel=0.05) and abs(expected) > 0.05


def test_3_a_step_goes_towards_the_spread_of_the_data():
    assert gradient(STD - 0.2, NEAR) < 0 < gradient(STD + 0.2, NEAR)
    assert abs(gradient(STD, NEAR)) < 0.05 * gradient(STD + 0.2, NEAR)


def test_1_the_smallest_noise_has_the_data_as_its_target():
    batch = small(7)(Draws(("x",)))
    student = ToyDenoiser(1)
    settings = {"first_grid": 2, "last_grid": 2, "low": 0.5, "high": 0.9, "log_mean": -3.2}
    objective = make(
        ConsistencyTraining, draw=lambda _: batch, huber=1e-6, log_std=0.05, **settings
    )
    draws = Draws(("last",))
    found = objective.student_loss(Roles(PROCESS, student), batch, draws).value
    assert batch.points is not None
    time = torch.full((2,), 0.9)
    noisy = PROCESS.perturb(batch.points, draws.noise("noise")(batch.shape), time, batch)
    clean, real = (
        PROCESS.target(one, batch) for one in (student(noisy, time, batch), batch.points)
    )
    errors = (((clean - real) ** 2).sum((1, 2)) / (3 * batch.sizes)).sqrt()
    # One over the level that is left, σ/α = 1/9.
    torch.testing.assert_close(found, 9 * errors.mean(), rtol=1e-3, atol=1e-5)


def test_levels_double_and_are_karras():
    settings = ConsistencyTrainingConfig(first_grid=10, last_grid=70, double_every=5)
    assert [settings.levels(k) for k in (0, 4, 5, 10, 15, 9**9)] == [10, 10, 20, 40, 70, 70]
    objective = make(ConsistencyTraining)
    times, levels = objective._grid(PROCESS, 12)
    assert float(times[0]) == pytest.approx(0.02) and float(times[-1]) == pytest.approx(0.995)
    torch.testing.assert_close(levels, (1 - times) / times)
    roots = levels.double() ** (1 / 7)
    torch.testing.assert_close(roots.diff(), roots.diff().mean().expand(11), rtol=1e-3, atol=0)
    # LiDiff's thousand levels are each there once.
    times, levels = objective._grid(LocalNoise(), 4000)
    assert len(times) < 1000 and (levels.diff() < 0).all() and (times.diff() > 0).all()


def test_levels_are_drawn_log_normally():
    objective = make(ConsistencyTraining, log_mean=-0.7, log_std=0.4)
    _, levels = objective._grid(PROCESS, 1280)
    logs = levels[objective._drawn(levels, 20_000, Draws(("drawn",)))].log()
    assert float(logs.mean()) == pytest.approx(-0.7, abs=0.02)
    assert float(logs.std()) == pytest.approx(0.4, abs=0.02)


def test_2_only_the_student_learns_and_no_teacher_is_asked():
    roles, objective = toy_roles(2), make(ConsistencyTraining, draw=small(8), first_grid=4)
    roles = Roles(PROCESS, roles.student)
    objective.student_loss(roles, blank([6, 8]), Draws(("roles",))).value.backward()
    for name, parameter in module(roles.student).named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all()
        assert parameter.grad.abs().max() > 0 or name == "drop.bias"
    with pytest.raises(ValueError, match="no fake score"):
        objective.fake_score_loss("fake", roles, blank([6, 8]), Draws(("roles",)))


def test_4_a_student_that_answers_with_the_data_has_no_loss():
    """Whatever is told: there is one sample, and it is the answer."""
    batch = small(7)(Draws(("one",)))
    assert batch.points is not None
    answer = batch.points.clone().requires_grad_()
    roles = Roles(PROCESS, lambda *_: answer)
    objective = make(ConsistencyTraining, draw=lambda _: batch)
    assert float(objective.student_loss(roles, batch, Draws(("x",))).value.detach()) < 1e-6


def test_5_padding_and_masked_points_change_nothing():
    def result(length: int, fill: float) -> list[Tensor]:
        mask = blank([5, 7], length).mask
        draws = SetDraws(("padding",), mask=mask, count=7, fill=fill)
        objective = make(ConsistencyTraining, draw=small(length), first_grid=4)
        return losses_and_gradients(objective, 1, draws, length)

    torch.testing.assert_close(result(7, 0.0), result(12, 9.0), rtol=1e-4, atol=1e-5)


def test_5_permuting_points_changes_neither_loss_nor_gradient():
    found = [
        losses_and_gradients(
            make(ConsistencyTraining, draw=small(7, (7, 7), order)), 2, draws, 7, (7, 7)
        )
        for order, draws in orders()
    ]
    torch.testing.assert_close(*found, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("wrong", [{"low": 0.9, "high": 0.5}, {"first_grid": 9, "last_grid": 5}])
def test_wrong_bounds_are_refused(wrong: dict[str, float]):
    with pytest.raises(ValueError, match=r"must (be below|not exceed)"):
        ConsistencyTrainingConfig.model_validate(wrong)
