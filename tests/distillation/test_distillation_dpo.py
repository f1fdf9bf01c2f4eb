"""Contract: the student is drawn to what is preferred and pushed off what is not."""

import pytest
import torch
from distillation.gaussian_cases import PROCESS, smaller
from distillation.make import make
from distillation.toy import TIMES, ToyDenoiser, blank
from torch import Tensor, nn

from domains.batch import Batch
from domains.distillation.objectives.distillation_dpo import DistillationDPO, preference_loss
from domains.distillation.objectives.pair import draw_pair
from domains.distillation.roles import Draws, Roles, RollOut


def roles(steps: int = 2) -> Roles:
    fakes = {"winner": ToyDenoiser(2), "loser": ToyDenoiser(3)}
    teacher = ToyDenoiser(0).requires_grad_(False)
    return Roles(PROCESS, ToyDenoiser(1), teacher, fakes, RollOut(PROCESS.times(steps)))


def four(count: int = 5) -> list[Tensor]:
    source = torch.Generator().manual_seed(0)
    return [torch.randn(2, count, 3, generator=source, requires_grad=True) for _ in range(4)]


def test_gradients_are_the_signals() -> None:
    winner, loser, pull, push = four()
    loss = preference_loss(winner, loser, pull, push, blank([5, 5]), None).sum()
    by_winner, by_loser = torch.autograd.grad(loss, [winner, loser])
    torch.testing.assert_close(by_winner, pull.detach() / 15)
    torch.testing.assert_close(by_loser, -push.detach() / 15)


@pytest.mark.parametrize(("bound", "share"), [(0.0, 0.0), (0.5, 0.5), (None, 3.0), (9.0, 3.0)])
def test_losers_signal_is_bounded_by_the_winners(bound: float | None, share: float) -> None:
    winner, loser, pull, _ = four()
    loss = preference_loss(winner, loser, pull, 3 * pull, blank([5, 5]), bound).sum()
    (by_loser,) = torch.autograd.grad(loss, [loser])
    torch.testing.assert_close(by_loser, -share * pull.detach() / 15)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_winner_is_the_preferred_of_one_noise(sign: float) -> None:
    """With wider noise the second of a pair is larger, so the preference says which it is."""

    def preference(points: Tensor, batch: Batch) -> Tensor:
        return sign * smaller(points, batch)

    batch, draws = blank([6, 6]), Draws(("pair",))
    pair = draw_pair(roles(1), batch, draws, preference, 3.0, gradient=False)
    assert (preference(pair.winner, batch) > preference(pair.loser, batch)).all()
    assert (pair.first == (sign > 0)).all()


def test_pair_of_equal_noise_gives_no_signal_when_the_fakes_agree() -> None:
    networks = roles()
    loser, winner = networks.fakes["loser"], networks.fakes["winner"]
    assert isinstance(loser, nn.Module) and isinstance(winner, nn.Module)
    loser.load_state_dict(winner.state_dict())
    objective = make(DistillationDPO, times=TIMES, prefers=smaller, pair_noise=1.0)
    loss = objective.student_loss(networks, blank([6, 8]), Draws(("same",))).value
    assert isinstance(networks.student, nn.Module)
    for gradient in torch.autograd.grad(loss, list(networks.student.parameters())):
        assert gradient.abs().max() < 1e-6


def test_released_estimator_has_no_gradient() -> None:
    """Why ours differs: (x_t − x) does not depend on x, however x was made."""
    source = torch.Generator().manual_seed(0)
    weight = torch.ones((), requires_grad=True)
    clean = weight * torch.randn(2, 5, 3, generator=source)
    noisy = clean + torch.randn(2, 5, 3, generator=source)
    signal = torch.randn(2, 5, 3, generator=source)
    (released,) = torch.autograd.grad((signal * (noisy - clean)).mean(), weight, retain_graph=True)
    (ours,) = torch.autograd.grad((signal * clean).mean(), weight)
    assert released == 0 and ours != 0
