"""Contract: BOOT's student answers from noise with where the teacher's ODE has come, and ends."""

from dataclasses import replace

import pytest
import torch
from distillation.gaussian_cases import PROCESS
from distillation.learning import check_only_the_student_learns
from distillation.make import make
from distillation.test_adversarial import orders
from distillation.test_objectives import losses_and_gradients, toy_roles
from distillation.toy import GaussianDenoiser, SetDraws, blank, template
from torch import Tensor, nn

from domains.batch import Batch
from domains.config import Distil
from domains.distillation.objectives.boot import Boot
from domains.distillation.roles import Draws, Roles, RollOut
from domains.distillation.sampling.sampler import last, ode_step, renoise
from domains.errors import FewstepError
from domains.lidar.settings import LidarRun

COUNT, SAMPLES, STD, LOW = 40, 64, 0.5, 0.005
ONE = RollOut(PROCESS.times(1), eta=0.0)


class Signals(nn.Module):
    """Signals of the trajectories of N(m, .5²): y_t = m + (r_t − (1 − t)) ε / t.

    r² is t² .5² + (1 − t)². ε's share is to be learned. The time of a call is that of the
    roll-out where t is the last.
    """

    def __init__(self, grid: Tensor, factor: float):
        super().__init__()
        self.factor, self.grid = nn.Parameter(torch.tensor(factor)), grid

    def forward(self, noisy: Tensor, time: Tensor, batch: Batch, previous=None) -> Tensor:
        noise = noisy / (1 - time)[:, None, None]
        place = (time / ONE.times[0] * (len(self.grid) - 1)).round().long()
        t = self.grid[place][:, None, None]
        spread = ((t * STD) ** 2 + (1 - t) ** 2).sqrt() - (1 - t)
        return template(COUNT) + self.factor * spread * noise / t


def loss_of(factor: float, grid: int, huber: float = 1.0) -> tuple[float, float]:
    teacher = GaussianDenoiser(1.0, STD, COUNT).requires_grad_(False)
    objective = make(Boot, grid=grid, huber=huber, low=LOW)
    student = Signals(objective._grid(Roles(PROCESS, teacher)), factor)
    roles = Roles(PROCESS, student, teacher, roll_out=ONE)
    loss = objective.student_loss(roles, blank([COUNT] * SAMPLES), Draws(("signals",))).value
    return float(loss.detach()), float(torch.autograd.grad(loss, student.factor)[0])


def test_1_the_signals_of_the_trajectories_have_no_loss():
    """Up to the error of Euler's steps, which falls with the grid."""
    coarse, fine, finest = (loss_of(1.0, grid)[0] for grid in (8, 32, 128))
    assert coarse > 3 * fine > 9 * finest and finest < 1e-4


def test_3_a_step_goes_towards_the_trajectories():
    (low, up), (at, _), (high, down) = (loss_of(1 + by, 64) for by in (-0.3, 0.0, 0.3))
    assert up < 0 < down and at < 0.1 * min(low, high)


def test_the_grid_ends_at_the_call_of_the_roll_out():
    """Where the last answer is asked for is where the sampler asks."""
    roles, batch, draws = toy_roles(1), blank([6, 8]), Draws(("one",))
    objective, noise = make(Boot, grid=5), draws.noise("roll-out")(batch.shape)
    answer = objective._answer(roles, batch, noise, torch.tensor([5, 5]))
    played = renoise(roles.student, PROCESS, batch, ONE.times, draws.noise("roll-out"), eta=0.0)
    torch.testing.assert_close(answer, PROCESS.target(last(played), batch))


def test_a_target_is_a_step_of_the_teachers_ode():
    roles, batch, draws = toy_roles(1), blank([6, 8]), Draws(("step",))
    objective, place = make(Boot, grid=4), torch.tensor([1, 3])
    grid, noise = objective._grid(roles), PROCESS.project(draws.noise("x")(batch.shape), batch)
    signal = objective._answer(roles, batch, noise, place)
    time, later = grid[place], grid[place + 1]
    noisy = PROCESS.perturb(signal, noise, time, batch)
    assert roles.teacher is not None
    moved = ode_step(PROCESS, roles.teacher(noisy, time, batch), noisy, time, later, batch)
    expected = PROCESS.clean_of_noise(noise, moved, later, batch)
    found = objective._target(roles, batch, noise, grid, place)
    torch.testing.assert_close(found, PROCESS.target(expected, batch), rtol=1e-4, atol=1e-5)


def test_2_only_the_student_learns():
    check_only_the_student_learns(make(Boot, grid=4), toy_roles(1))


def test_4_at_the_start_the_teacher_itself_has_no_loss():
    roles, objective = toy_roles(1), make(Boot, grid=4, low=1e-6)
    same = Roles(PROCESS, roles.teacher, roles.teacher, roll_out=ONE)  # type: ignore[arg-type]
    noted = objective.student_loss(same, blank([6, 8]), Draws(("same",))).diagnostics
    assert float(noted["boundary"]) < 1e-6 < float(noted["distance"])


def test_5_padding_and_masked_points_change_nothing():
    def result(length: int, fill: float) -> list[Tensor]:
        mask = blank([5, 7], length).mask
        draws = SetDraws(("padding",), mask=mask, count=7, fill=fill)
        return losses_and_gradients(make(Boot, grid=4), 1, draws, length)

    torch.testing.assert_close(result(7, 0.0), result(12, 9.0), rtol=1e-4, atol=1e-6)


def test_5_permuting_points_changes_neither_loss_nor_gradient():
    found = [losses_and_gradients(make(Boot, grid=4), 1, draws, 7, (7, 7)) for _, draws in orders()]
    torch.testing.assert_close(*found, rtol=1e-4, atol=1e-6)


def test_a_call_at_noise_alone_leaves_no_time_to_be_told():
    early = replace(toy_roles(1), roll_out=RollOut(torch.tensor([0.001])))
    with pytest.raises(FewstepError, match=r"too early: .*roll_out\.times .* 0\.1, got 0\.001"):
        make(Boot).student_loss(early, blank([6, 8]), Draws(("early",)))
    given = {"objective": {"kind": "boot"}, "fit": {"network_calls": 9}}
    for times, said in (((), "give one, such as"), ((0.5,), "")):
        student = Distil.model_validate(
            {**given, "roll_out": {"steps": 1, "eta": 0, "times": times}}
        )
        assert said in LidarRun.obstacle(student) and bool(said) == bool(LidarRun.obstacle(student))


@pytest.mark.parametrize("wrong", [{"steps": 2, "eta": 0}, {"steps": 1}, {"steps": 1, "eta": 0.5}])
def test_other_roll_outs_are_refused(wrong: dict[str, float]):
    given = {"objective": {"kind": "boot"}, "fit": {"network_calls": 9}}
    Distil.model_validate({**given, "roll_out": {"steps": 1, "eta": 0}})
    with pytest.raises(ValueError, match="roll_out: must be of steps 1, eta 0"):
        Distil.model_validate({**given, "roll_out": wrong})


def test_a_time_that_is_too_early_is_refused_before_any_job():
    given = {"objective": {"kind": "boot"}, "fit": {"network_calls": 9}}
    with pytest.raises(ValueError, match=r"roll_out\.times: the only one must be at least 0\.1"):
        Distil.model_validate({**given, "roll_out": {"steps": 1, "eta": 0, "times": [0.003]}})
