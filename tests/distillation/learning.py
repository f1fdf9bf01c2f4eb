"""Checks of which networks an objective gives gradients to."""

import pytest
from distillation.toy import blank
from torch import nn

from domains.distillation.objectives.objective import Objective
from domains.distillation.roles import Draws, Roles

__all__ = ["check_only_the_student_learns", "check_roles_learn", "module"]


def module(denoiser: object) -> nn.Module:
    """Return a denoiser as the network that it is."""
    assert isinstance(denoiser, nn.Module)
    return denoiser


def _check_silent(*networks: nn.Module) -> None:
    assert all(p.grad is None for network in networks for p in network.parameters())


def _check_moved(network: nn.Module, *, but: str = "") -> None:
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().max() > 0 or name == but, name


def check_roles_learn(objective: Objective, roles: Roles) -> None:
    """Check that each loss moves its own network only: the student, or one fake score."""
    batch, draws = blank([6, 8]), Draws(("roles",))
    student, teacher = module(roles.student), module(roles.teacher)
    fakes = [module(roles.fakes[name]).requires_grad_(False) for name in objective.fake_scores]
    objective.student_loss(roles, batch, draws).value.backward()
    _check_silent(*fakes, teacher)
    # That bias moves all points alike, which centring takes back.
    _check_moved(student, but="drop.bias")
    student.zero_grad()
    for name, fake in zip(objective.fake_scores, fakes, strict=True):
        fake.requires_grad_(True)
        objective.fake_score_loss(name, roles, batch, draws).value.backward()
        _check_moved(fake)
        fake.requires_grad_(False).zero_grad()
        _check_silent(*fakes, student, teacher)


def check_only_the_student_learns(objective: Objective, roles: Roles) -> None:
    """Check an objective without a fake score."""
    batch, draws = blank([6, 8]), Draws(("roles",))
    objective.student_loss(roles, batch, draws).value.backward()
    _check_moved(module(roles.student))
    _check_silent(module(roles.teacher))
    with pytest.raises(ValueError, match="no fake score"):
        objective.fake_score_loss("fake", roles, batch, draws)
