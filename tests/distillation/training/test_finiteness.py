"""Contract: on an accelerator nothing is asked before it must be, and nothing bad is saved.

There is none here: the CPU plays one, on which each question would mean waiting.
"""

from pathlib import Path
from typing import Any

import pytest
import torch
from distillation.toy import toy_distiller
from torch import nn

from domains.distillation import roles
from domains.distillation.roles import Loss, by_time
from domains.distillation.training import distiller as distiller_module
from domains.distillation.training import log_table
from domains.distillation.training.finiteness import Finiteness
from domains.distillation.training.fit import run
from domains.distillation.training.log_table import LogTable
from domains.distillation.training.optimiser import (
    build_optimiser,
    fuse,
    step_if_finite,
    unfused_state,
)
from domains.distillation.training.settings import Optimiser
from domains.errors import FewstepError


@pytest.fixture
def accelerator(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (roles, distiller_module, log_table):
        monkeypatch.setattr(module, "waits", lambda device: True)


FIT = {"steps": 12, "log_every": 4, "checkpoint_every": 6, "accumulate": 2}


def test_training_and_its_log_are_those_of_a_cpu(tmp_path: Path, monkeypatch):
    one = toy_distiller(fit=FIT)
    for optimiser in one.role_optimisers.values():
        fuse(optimiser)  # it rounds in another order, which these few steps amplify
    run(one, tmp_path / "here")
    for module in (roles, distiller_module, log_table):
        monkeypatch.setattr(module, "waits", lambda device: True)
    two = toy_distiller(fit=FIT)
    run(two, tmp_path / "there")
    assert two.finiteness.late and not one.finiteness.late
    for a, b in zip(one.student.parameters(), two.student.parameters(), strict=True):
        assert torch.equal(a, b)
    ours, theirs = (LogTable(tmp_path / name / "log.csv", 99).rows for name in ("here", "there"))
    assert [set(row) for row in ours] == [set(row) for row in theirs] and len(ours) == 3
    assert any("_t" in name for name in ours[0])
    for a, b in zip(ours, theirs, strict=True):
        assert a == pytest.approx(b, rel=1e-5)


def test_a_cpu_resumes_what_an_accelerator_has_saved(tmp_path: Path, monkeypatch):
    whole = toy_distiller(fit=FIT)
    run(whole, tmp_path / "whole")
    with monkeypatch.context() as there:
        there.setattr(distiller_module, "waits", lambda device: True)
        first = toy_distiller(fit=FIT | {"max_seconds": 1e-9})
        assert not run(first, tmp_path / "parts") and first.done == 1
    second = toy_distiller(fit=FIT)
    assert run(second, tmp_path / "parts") and not second.finiteness.late
    for a, b in zip(whole.student.parameters(), second.student.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0.02)


@pytest.mark.usefixtures("accelerator")
@pytest.mark.parametrize("term", ["loss", "gap"])
def test_what_is_not_finite_is_named_before_anything_is_saved(
    tmp_path: Path, term: str, monkeypatch: pytest.MonkeyPatch
):
    trained = toy_distiller(fit=FIT)
    sound = trained.plan.objective.student_loss

    def broken(*given: Any) -> Loss:
        value, terms = sound(*given)
        if given[-1].key[1] == 8:
            value, terms = (value * float("nan"), terms) if term == "loss" else (value, terms)
            terms = terms if term == "loss" else {**terms, "gap": torch.tensor(float("inf"))}
        return Loss(value, terms)

    monkeypatch.setattr(trained.plan.objective, "student_loss", broken)
    with pytest.raises(FewstepError, match=f"step 8, role student, term {term}"):
        run(trained, tmp_path)
    assert trained.done == 12  # asked before the row of step 12
    assert sorted(path.stem for path in (tmp_path / "state").glob("*.pt")) == ["step-000000006"]
    # Steps without a finite gradient changed nothing.
    assert all(value.isfinite().all() for value in trained.student.parameters())


def test_much_that_is_kept_is_asked_for():
    finiteness = Finiteness()
    finiteness.late = True
    for step in range(Finiteness.most):
        assert not finiteness.full
        value, bad = finiteness.checked(Loss(torch.tensor(1.0), {}), step, "student")
        assert value == 1 and bad is None
    assert finiteness.full
    finiteness.settle()
    assert not finiteness.full
    value, _ = finiteness.checked(Loss(torch.tensor(1.0), {"a": torch.tensor(torch.inf)}), 3, "x")
    assert value.isnan()
    with pytest.raises(FewstepError, match="step 3, role x, term a"):
        finiteness.settle()


def test_a_weight_that_overflows_is_named():
    layer = nn.Linear(2, 2)
    optimiser = build_optimiser(layer, Optimiser())
    fuse(optimiser)
    finiteness = Finiteness()
    finiteness.late = True
    layer.weight.data[0, 0] = float("inf")
    finiteness.step(5, "fake", optimiser, torch.tensor(1.0), layer, None)
    with pytest.raises(FewstepError, match="step 5, role fake, term weight"):
        finiteness.settle()


def test_a_fused_step_is_left_out_where_the_gradient_is_not_finite():
    layer = nn.Linear(3, 2)
    optimiser = build_optimiser(layer, Optimiser(rate=0.1))
    layer(torch.ones(1, 3)).sum().backward()
    optimiser.step()  # as a state that is resumed
    fuse(optimiser)
    before = [weight.detach().clone() for weight in layer.parameters()]
    moments = unfused_state(optimiser)["state"][0]["exp_avg"].clone()
    layer.weight.grad = torch.full_like(layer.weight, float("nan"))
    step_if_finite(optimiser, torch.tensor(False))
    assert all(torch.equal(a, b) for a, b in zip(before, layer.parameters(), strict=True))
    state = unfused_state(optimiser)["state"][0]
    assert torch.equal(state["exp_avg"], moments) and state["step"] == 1
    layer.weight.grad = torch.ones_like(layer.weight)
    step_if_finite(optimiser, torch.tensor(True))
    assert not torch.equal(before[0], layer.weight)
    assert all(group["fused"] is None for group in unfused_state(optimiser)["param_groups"])


def test_time_bins_are_the_same_as_sums_and_counts(monkeypatch):
    time, values = torch.tensor([0.0, 0.39, 0.4, 0.95, 1.0]), torch.tensor([1.0, 3, 5, 7, 9])
    means = by_time("gap", values, time)
    monkeypatch.setattr(roles, "waits", lambda device: True)
    pairs = by_time("gap", values, time)
    assert set(pairs) - set(means) == {"gap_t0.7"} and pairs["gap_t0.7"].tolist() == [0, 0]
    assert {name: pairs[name].tolist() for name in means} == {
        name: [float(value), 1] for name, value in means.items()
    }
    # What is not finite is so in its own bin only.
    assert by_time("gap", values * torch.tensor([1, 1, 1, torch.nan, 1]), time)[
        "gap_t0.0"
    ].tolist() == [2, 1]


def test_means_leave_out_steps_without_a_number(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(log_table, "waits", lambda device: True)
    table = LogTable(tmp_path / "log.csv")
    for total, count in ((3.0, 2.0), (0.0, 0.0), (5.0, 1.0)):
        table.add(some=torch.tensor([total, count]), loss=torch.tensor(count), rate=count)
    table.add(loss=torch.tensor(1.0))
    assert table.state() == {"rate": (3.0, 3), "some": (6.5, 2), "loss": (4.0, 4)}
    assert table.close_row(4) == {"step": 4, "rate": 1, "some": 3.25, "loss": 1}
