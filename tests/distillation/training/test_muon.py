"""Contract: Muon steps the matrices inside a network, Adam the rest, and both resume."""

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from distillation.toy import ToyDenoiser, toy_plan, toy_validation
from torch import Tensor, nn

from domains.batch import Batch
from domains.distillation.training.distiller import Distiller
from domains.distillation.training.fit import run
from domains.distillation.training.muon import MuonAdam, inner_matrices
from domains.distillation.training.optimiser import (
    build_optimiser,
    fuse,
    set_rate,
    step_if_finite,
    unfused_state,
)
from domains.distillation.training.settings import Optimiser
from domains.distillation.training.state_form import check_state
from domains.errors import FewstepError

MUON = Optimiser(method="muon", rate=0.01)


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 32), nn.SiLU(), nn.Linear(32, 32), nn.Linear(32, 3))


def learn(net: nn.Module, optimiser: torch.optim.Optimizer, updates: range) -> None:
    for number in updates:
        points = torch.randn(64, 3, generator=torch.Generator().manual_seed(number))
        ((net(points) - points.flip(1).sin()) ** 2).mean().backward()
        optimiser.step()
        optimiser.zero_grad()


def weights(net: nn.Module) -> list[torch.Tensor]:
    return [weight.detach().clone() for weight in net.parameters()]


def test_matrices_are_those_between_wide_layers():
    net = network()
    assert inner_matrices(net) == [net[2].weight]
    net[2].requires_grad_(False)
    assert inner_matrices(net) == []


def test_each_parameter_has_the_step_of_its_own_method():
    net = network()
    separate = copy.deepcopy(net)
    learn(net, build_optimiser(net, MUON), range(3))
    matrix = separate[2].weight
    muon = torch.optim.Muon(
        [matrix], lr=0.01, weight_decay=0.0, momentum=0.95, adjust_lr_fn="match_rms_adamw"
    )
    adam = torch.optim.Adam([p for p in separate.parameters() if p is not matrix], lr=0.01)
    for number in range(3):
        points = torch.randn(64, 3, generator=torch.Generator().manual_seed(number))
        ((separate(points) - points.flip(1).sin()) ** 2).mean().backward()
        muon.step()
        adam.step()
        separate.zero_grad()
    torch.testing.assert_close(weights(net), weights(separate), rtol=0, atol=0)


def test_a_step_moves_all_directions_of_a_matrix_alike():
    net = network()
    before = net[2].weight.detach().clone()
    points = torch.randn(64, 3, generator=torch.Generator().manual_seed(0))
    ((net(points) - points.flip(1).sin()) ** 2).mean().backward()
    assert net[2].weight.grad is not None
    first = torch.linalg.svdvals(net[2].weight.grad)
    build_optimiser(net, MUON).step()
    moved = torch.linalg.svdvals((net[2].weight - before).detach())[:3]
    # The gradient has three directions, as many as there are outputs, of unlike sizes.
    assert first[0] > 2 * first[2]
    # Adam's usual step is .2 · rate for each of a side's 32 values.
    assert moved.tolist() == pytest.approx([0.2 * 0.01 * 32**0.5] * 3, rel=0.35)


def test_a_resumed_training_goes_on_bit_for_bit():
    whole, parts = network(), network()
    learn(whole, build_optimiser(whole, MUON), range(6))
    first = build_optimiser(parts, MUON)
    learn(parts, first, range(3))
    state: Any = copy.deepcopy(unfused_state(first))
    second = build_optimiser(parts, MUON)
    second.load_state_dict(state)
    learn(parts, second, range(3, 6))
    torch.testing.assert_close(weights(whole), weights(parts), rtol=0, atol=0)


def test_both_take_the_rate_that_is_set():
    net = network()
    optimiser, before = build_optimiser(net, MUON), weights(net)
    set_rate(optimiser, 0.0)
    learn(net, optimiser, range(2))
    torch.testing.assert_close(weights(net), before, rtol=0, atol=0)


def test_a_step_is_left_out_where_the_gradient_is_not_finite():
    net = network()
    optimiser = build_optimiser(net, MUON)
    learn(net, optimiser, range(1))
    fuse(optimiser)
    before, kept = weights(net), copy.deepcopy(unfused_state(optimiser)["state"])
    for weight in net.parameters():
        weight.grad = torch.full_like(weight, float("nan"))
    step_if_finite(optimiser, torch.tensor(False))
    torch.testing.assert_close(weights(net), before, rtol=0, atol=0)
    torch.testing.assert_close(unfused_state(optimiser)["state"], kept)
    for weight in net.parameters():
        weight.grad = torch.ones_like(weight)
    step_if_finite(optimiser, torch.tensor(True))
    assert all(not torch.equal(a, b) for a, b in zip(before, weights(net), strict=True))


def test_a_reset_forgets_the_moments_of_both():
    net = network()
    optimiser = build_optimiser(net, MUON)
    learn(net, optimiser, range(2))
    assert len(optimiser.state) == 6
    optimiser.state.clear()
    other = copy.deepcopy(net)
    learn(net, optimiser, range(2))
    learn(other, build_optimiser(other, MUON), range(2))
    torch.testing.assert_close(weights(net), weights(other), rtol=0, atol=0)


def test_without_matrices_or_an_old_torch_it_is_one_line(monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(FewstepError, match="muon has nothing to step"):
        build_optimiser(nn.Linear(3, 32), MUON)
    monkeypatch.delattr(torch.optim, "Muon")
    with pytest.raises(FewstepError, match=r"no Muon: expected 2\.9 or newer"):
        MuonAdam(
            [nn.Parameter(torch.ones(16, 16))], [nn.Parameter(torch.ones(2))], 0.1, (0.9, 0.99)
        )


class Wide(nn.Module):
    """A toy network with a matrix inside."""

    def __init__(self) -> None:
        super().__init__()
        self.toy, self.inner = ToyDenoiser(0), nn.Linear(16, 16)

    def forward(
        self, noisy: Tensor, time: Tensor, batch: Batch, previous: Tensor | None = None
    ) -> Tensor:
        return self.toy(noisy, time, batch, previous) + self.inner(time.new_ones(16)).mean()


def training(steps: int) -> Distiller:
    plan = toy_plan(fit={"steps": steps})
    torch.manual_seed(0)
    return Distiller(replace(plan, optimisers=dict.fromkeys(plan.optimisers, MUON)), Wide(), Wide())


def test_what_a_training_saved_fits_it_and_no_other_method(tmp_path: Path):
    whole = training(4)
    assert run(whole, tmp_path / "whole", toy_validation)
    state = torch.load(tmp_path / "whole/state/step-000000004.pt", weights_only=True)
    check_state(training(4), state)
    wrong = copy.deepcopy(state)
    kept = wrong["optimisers"]["student"]["state"]
    matrix = wrong["optimisers"]["student"]["param_groups"][0]["params"][0]
    assert set(kept[matrix]) == {"momentum_buffer"}
    kept[matrix] = {name: torch.zeros(16, 16) for name in ("exp_avg", "exp_avg_sq")}
    with pytest.raises(ValueError, match="keeps other moments"):
        check_state(training(4), wrong)
