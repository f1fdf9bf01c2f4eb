"""Contract: with `shared`, fake score and student of an update learn from one roll-out."""

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from distillation.make import make
from distillation.toy import TIMES, ToyDenoiser, toy_distiller, toy_plan
from torch import Tensor

from domains.batch import Batch
from domains.config import parse_config
from domains.distillation.objectives.sid import SiD
from domains.distillation.objectives.vsd import VSD
from domains.distillation.roles import Draws, Loss, Roles
from domains.distillation.training.distiller import Distiller
from domains.distillation.training.fit import run
from domains.errors import FewstepError

OBJECTIVES = {name: partial(make, one, times=TIMES) for name, one in (("vsd", VSD), ("sid", SiD))}


class Seeing(VSD):
    """Keeps the samples that each role learns from."""

    def __init__(self, inner: Any):
        super().__init__(inner.settings)
        self.seen: list[tuple[str, Tensor]] = []

    def fake_score_loss(self, name: str, roles: Roles, batch: Batch, draws: Draws) -> Loss:
        self.seen.append((name, roles.play(batch, draws, gradient=False)))
        return super().fake_score_loss(name, roles, batch, draws)

    def student_loss(self, roles: Roles, batch: Batch, draws: Draws) -> Loss:
        self.seen.append(("student", roles.play(batch, draws, gradient=True)))
        return super().student_loss(roles, batch, draws)


def trained(tmp_path: Path, *, shared: bool, fake_rate: float = 0.01, **changes: Any) -> Distiller:
    plan = toy_plan(**changes)
    assert plan.roll_out is not None
    fake = plan.optimisers["fake"].model_copy(update={"rate": fake_rate})
    distiller = toy_distiller(
        replace(
            plan,
            roll_out=replace(plan.roll_out, shared=shared),
            optimisers={**plan.optimisers, "fake": fake},
        )
    )
    with torch.no_grad():  # not the teacher, or there is nothing to learn
        for parameter in distiller.fakes.parameters():
            parameter.add_(0.1)
    assert run(distiller, tmp_path)
    return distiller


def test_all_roles_of_an_update_see_one_sample(tmp_path: Path):
    objective = Seeing(OBJECTIVES["vsd"]())
    trained(tmp_path, shared=True, objective=objective, fake_updates=2)
    for step in range(3):
        (_, once), (_, again), (role, student) = objective.seen[3 * step : 3 * step + 3]
        assert role == "student" and student.requires_grad
        assert not once.requires_grad and not again.requires_grad
        assert torch.equal(once, student) and torch.equal(again, student)
    assert not torch.equal(objective.seen[0][1], objective.seen[3][1])


@pytest.mark.parametrize("name", OBJECTIVES)
def test_the_student_learns_what_it_would_have_learned_alone(tmp_path: Path, name: str):
    """With a fake score that stands still, sharing changes nothing for the student."""
    ends = []
    for shared in (False, True):
        still = {"fake_rate": 0.0, "objective": OBJECTIVES[name](), "fit": {"accumulate": 2}}
        distiller = trained(tmp_path / str(shared), shared=shared, **still)
        ends.append([p.detach() for p in distiller.student.parameters()])
    torch.testing.assert_close(*ends, rtol=0, atol=0)
    start = list(ToyDenoiser(1).parameters())
    assert any(not torch.equal(a, b) for a, b in zip(ends[0], start, strict=True))


@pytest.mark.parametrize("name", OBJECTIVES)
def test_sharing_saves_the_fake_scores_roll_out(tmp_path: Path, name: str):
    calls = {
        shared: trained(
            tmp_path / str(shared), shared=shared, objective=OBJECTIVES[name](), steps=1
        ).network_calls
        for shared in (False, True)
    }
    updates = 3
    assert calls[False] - calls[True] == updates * toy_samples()


def toy_samples() -> int:
    """Return the samples of a micro-batch of the toy plan, each of which is one call."""
    distiller = toy_distiller()
    return len(distiller.plan.batches(0, Draws((0,))).mask)


def test_objectives_that_look_at_samples_in_their_own_way_refuse_it():
    student = {"objective": {"kind": "tdm"}, "roll_out": {"shared": True, "eta": 0}}
    student["fit"] = {"steps": 1}
    content = {"name": "x", "domain": "protein", "teacher": "proteina-small"}
    with pytest.raises(FewstepError, match=r"roll_out.shared: does not go with the objective tdm"):
        parse_config({**content, "students": {"s": student}}, "a run")
