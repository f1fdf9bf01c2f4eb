"""Contract: DisBack records its path before the student moves, and walks it back to the teacher.

The student is led over every record once, the latest first, and last by the teacher itself; a
run that is interrupted anywhere on the way ends as one that never was.
"""

import os
import signal
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from distillation.make import make
from distillation.test_resume import assert_same_end
from distillation.toy import (
    TIMES,
    GaussianDenoiser,
    ToyDenoiser,
    blank,
    blank_batches,
    toy_distiller,
    toy_plan,
    toy_validation,
)
from distillation.toy_run import STEPS, settings
from distillation.training.test_distiller import gaussian_divergence, same, weights
from torch import Tensor, nn

from domains.batch import Batch
from domains.distillation.denoiser import Guided, Tempered
from domains.distillation.objectives.vsd import VSD
from domains.distillation.roles import Draws, Loss, Roles
from domains.distillation.training.degradation import DegradationPath
from domains.distillation.training.distiller import Distiller
from domains.distillation.training.fit import run
from domains.distillation.training.log_table import LogTable
from domains.distillation.training.settings import Degradation

# Records after steps 2 and 4, the path's end after 6; targets change at 9 and 12.
PLAN = Degradation(checkpoints=2, steps=2, switch_every=3)


def new(**changes: Any) -> Distiller:
    fit = {"steps": 14, "log_every": 1, "validate_every": 1}
    return toy_distiller(**{"fit": fit, "degradation": PLAN} | changes)


def assert_equal(network: nn.Module, state: dict[str, Tensor]) -> None:
    assert all(torch.equal(value, state[name]) for name, value in network.state_dict().items())


def test_the_student_waits_while_the_fake_score_leaves_the_teacher(tmp_path: Path):
    fakes: list[list[Tensor]] = []

    def look(distiller: Distiller) -> dict[str, float]:
        fakes.append(weights(distiller.fakes["fake"]))
        untouched = same(weights(distiller.student), first)
        assert untouched == (distiller.done <= PLAN.recording)
        assert untouched == same(weights(distiller.average), first)
        if distiller.done == PLAN.recording:
            records = [list(record.values()) for record in distiller.path.records]  # type: ignore[union-attr]
            assert len(records) == 2
            assert same(records[0], fakes[1]) and same(records[1], fakes[3])
        return {"quality": 0.0}

    distiller = new()
    first = weights(distiller.student)
    run(distiller, tmp_path, look)
    assert len({tuple(fake[0].flatten().tolist()) for fake in fakes}) == 14
    assert same(weights(distiller.teacher), weights(ToyDenoiser(0)))  # type: ignore[arg-type]


def test_targets_are_the_records_in_reverse_and_last_the_teacher(tmp_path: Path):
    seen: list[list[Tensor]] = []

    wrapped: list[str] = []

    class Watched(VSD):
        def student_loss(self, roles: Roles, batch: Batch, draws: Draws) -> Loss:
            wrapped.append(type(roles.teacher).__name__)
            network = roles.teacher
            while not isinstance(network, nn.Module):
                network = network.denoiser  # type: ignore[union-attr]
            seen.append(weights(network))
            return super().student_loss(roles, batch, draws)

    records: list[list[Tensor]] = []

    def look(distiller: Distiller) -> dict[str, float]:
        assert distiller.path is not None
        if distiller.done == PLAN.recording:
            records.extend(list(record.values()) for record in distiller.path.records)
        left = {6: 2, 9: 2, 10: 1, 12: 1, 13: 0}
        assert len(distiller.path.records) == left.get(distiller.done, len(distiller.path.records))
        return {"quality": 0.0}

    # Only the teacher is sharpened; a record is asked as the fake score was when it learned.
    distiller = new(
        objective=make(Watched, times=TIMES),
        as_teacher=partial(Tempered, noise_scale=0.5),
        as_learning_fake=partial(Guided, weight=1.0),
    )
    run(distiller, tmp_path, look)
    teacher = weights(ToyDenoiser(0))
    assert wrapped == ["Guided"] * 6 + ["Tempered"] * 2
    expected = [records[1]] * 3 + [records[0]] * 3 + [teacher] * 2
    assert len(seen) == len(expected)
    assert all(same(found, known) for found, known in zip(seen, expected, strict=True))
    stages = [row.get("degradation/stage") for row in LogTable(tmp_path / "log.csv", 14).rows]
    assert stages == [None] * 6 + [0.0] * 3 + [1.0] * 3 + [2.0] * 2
    assert distiller.path is not None and distiller.path._waypoint is None


def test_rate_and_average_of_the_student_begin_with_its_first_step(tmp_path: Path):
    distiller, plain = new(), new(degradation=None, fit={"steps": 8, "log_every": 1})
    run(distiller, tmp_path / "path", toy_validation)
    run(plain, tmp_path / "plain")
    led, straight = (
        [row["student/rate"] for row in LogTable(tmp_path / name / "log.csv", 14).rows[-8:]]
        for name in ("path", "plain")
    )
    assert led == straight and led[0] != led[1]


def test_a_step_of_recording_is_a_step_of_the_fake_score_alone(tmp_path: Path):
    """The path is what the fake score becomes when the student does not move."""
    distiller, still = new(), new(degradation=None, fit={"steps": 4, "log_every": 1})
    for parameter in still.student.parameters():
        parameter.register_hook(torch.zeros_like)
    run(still, tmp_path / "still")
    found: list[dict[str, Tensor]] = []

    def look(given: Distiller) -> dict[str, float]:
        if given.done == 4 and given.path is not None:
            found.extend(given.path.records)
        return {"quality": 0.0}

    run(distiller, tmp_path / "path", look)
    assert_equal(still.fakes["fake"], found[1])


def test_the_path_ends_at_the_teachers_samples(tmp_path: Path):
    count = 16
    plan = toy_plan(
        batches=lambda index, draws: blank([count] * 16),
        fit={"steps": 200, "ema": 0.8, "log_every": 50},
        steps=1,
        fake_updates=2,
        rate=0.05,
        degradation=Degradation(checkpoints=3, steps=5, switch_every=20),
    )
    distiller = Distiller(plan, *(GaussianDenoiser(1.0, 0.5, count) for _ in range(2)))
    before = gaussian_divergence(distiller.average, count)
    assert run(distiller, tmp_path)
    assert gaussian_divergence(distiller.average, count) < 0.1 * before


def test_the_path_begins_near_the_student_whatever_the_teacher(tmp_path: Path):
    """A cold teacher is far from both: its coldness must not be the first record's."""
    count = 16
    plan = toy_plan(
        batches=lambda index, draws: blank([count] * 16),
        fit={"steps": 61, "log_every": 1},
        steps=1,
        rate=0.05,
        as_teacher=partial(Tempered, noise_scale=0.3),
        degradation=Degradation(checkpoints=1, steps=29, switch_every=2),
    )
    distiller = Distiller(plan, *(GaussianDenoiser(1.0, 0.5, count) for _ in range(2)))
    assert run(distiller, tmp_path)
    gaps = [row["student/gap"] for row in LogTable(tmp_path / "log.csv", 61).rows[-3:]]
    assert gaps[0] < 0.4 * gaps[2]


def led(**fit: Any) -> dict[str, Any]:
    plan = Degradation(checkpoints=2, steps=3, switch_every=4)
    return {**settings(**fit), "reset_fake_every": 0, "degradation": plan}


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that is not interrupted."""
    directory = tmp_path_factory.mktemp("reference")
    assert run(toy_distiller(**led()), directory, toy_validation)
    return directory


# In the recording, at its end, on the path, at its switches, at the teacher.
@pytest.mark.parametrize("stops", [(2,), (3, 7), (9,), (11, 13), (14, 17), (18, 21)], ids=str)
def test_interrupted_is_uninterrupted(tmp_path: Path, reference: Path, stops: tuple[int, ...]):
    for stop in (*stops, STEPS):

        def batches(index: int, draws: Draws, stop: int = stop) -> Batch:
            if index == 2 * (stop - 1):
                os.kill(os.getpid(), signal.SIGTERM)
            return blank_batches(index, draws)

        distiller = toy_distiller(**led(), batches=batches)
        run(distiller, tmp_path, toy_validation)
        assert distiller.done == stop
    assert_same_end(tmp_path, reference)


def test_the_state_holds_the_records_that_are_left(tmp_path: Path):
    run(new(fit={"steps": 14, "checkpoint_every": 1}), tmp_path)
    saved = torch.load(tmp_path / "state" / "step-000000013.pt", weights_only=True)
    assert saved["path"] == []
    path = DegradationPath(PLAN, ToyDenoiser(0))
    path.restore([ToyDenoiser(k).state_dict() for k in (1, 2)])
    assert_equal(path.target(10), ToyDenoiser(1).state_dict())
    assert len(path.records) == 1 and path.target(12) is path.teacher and not path.records
