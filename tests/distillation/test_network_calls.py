"""Contract: calls count by samples, three times if differentiated; they may end training."""

from itertools import count, pairwise
from pathlib import Path

import pytest
import torch
from distillation.make import make, with_judge
from distillation.toy import TIMES, ToyDenoiser, blank, toy_distiller
from torch import Tensor
from torch.nn import functional as F

from domains.batch import Batch
from domains.distillation.network_calls import DIFFERENTIATED, NetworkCalls
from domains.distillation.objectives.sid import SiD
from domains.distillation.objectives.vsd import VSD
from domains.distillation.roles import Draws
from domains.distillation.training.distiller import Distiller
from domains.distillation.training.fit import run
from domains.distillation.training.settings import Extent, Fit

SAMPLES = 3


def batches(index: int, draws: Draws) -> Batch:
    return blank([4] * SAMPLES)


def one_step(objective, tmp_path: Path) -> int:
    """Calls of a step with roll-outs of one step, in samples."""
    distiller = toy_distiller(objective=objective, batches=batches, steps=1, fit={"steps": 1})
    assert run(distiller, tmp_path)
    assert distiller.network_calls % SAMPLES == 0
    return distiller.network_calls // SAMPLES


def judge(denoiser, noisy: Tensor, time: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
    """Past ``forward``, as those of the fields are."""
    clean = denoiser.forward(noisy, time, batch)
    return clean, clean.mean(-1)


def real(draws: Draws) -> Batch:
    mask = blank([4] * SAMPLES).mask
    return Batch(mask, points=torch.ones(*mask.shape, 3))


# A roll-out and what is learnt of it; then a roll-out with a gradient and both scores.
FAKE = 1 + DIFFERENTIATED


@pytest.mark.parametrize(
    ("objective", "expected"),
    [
        (make(VSD, times=TIMES), FAKE + DIFFERENTIATED + 2),
        (make(SiD, times=TIMES), FAKE + 3 * DIFFERENTIATED),
        # The judge hears the fake score where it learns, real data, and the student's loss.
        (
            with_judge(make(VSD, times=TIMES), judge, real, 0.1, 0.1),
            FAKE + DIFFERENTIATED + DIFFERENTIATED + 1 + DIFFERENTIATED,
        ),
    ],
)
def test_calls_of_a_step(objective, expected: int, tmp_path: Path):
    assert one_step(objective, tmp_path) == expected


def test_calls_without_gradient_count_once():
    network, calls = ToyDenoiser(), NetworkCalls()
    calls.watch(network)
    batch = blank([4, 4])
    noisy, time = torch.zeros(batch.shape), torch.full((2,), 0.5)
    with torch.no_grad():
        network(noisy, time, batch)
    assert calls.total == 2
    F.mse_loss(network(noisy, time, batch), noisy).backward()
    assert calls.total == 2 + 2 * DIFFERENTIATED
    network.requires_grad_(False)(noisy, time, batch)  # of a frozen network on data
    assert calls.total == 2 + 2 * DIFFERENTIATED + 2


BUDGET = {"steps": None, "network_calls": 300, "checkpoint_every": 2, "log_every": 2}


def budgeted(**fit) -> Distiller:
    return toy_distiller(fit=BUDGET | fit, batches=batches, steps=3)


def test_a_budget_ends_training_by_the_first_step_that_spends_it(tmp_path: Path):
    distiller = budgeted()
    assert run(distiller, tmp_path) and distiller.finished
    most = (2 * 3 + 2 + 2 * DIFFERENTIATED) * SAMPLES  # of one step
    assert 300 <= distiller.network_calls < 300 + most
    last = (tmp_path / "log.csv").read_text().splitlines()
    header, row = last[0].split(","), last[-1].split(",")
    assert int(row[header.index("network_calls")]) == distiller.network_calls
    assert int(row[header.index("step")]) == distiller.done
    assert run(budgeted(), tmp_path)  # nothing is left to do


def test_an_interrupted_budget_ends_as_one_that_was_not(tmp_path: Path):
    whole, part = budgeted(), budgeted(max_seconds=1e-9)
    assert run(whole, tmp_path / "whole")
    assert not run(part, tmp_path / "parts") and part.done == 1
    again = budgeted()
    assert run(again, tmp_path / "parts")
    assert (again.done, again.network_calls) == (whole.done, whole.network_calls)
    for ours, theirs in zip(again.average.parameters(), whole.average.parameters(), strict=True):
        assert torch.equal(ours, theirs)
    logs = [(tmp_path / name / "log.csv").read_bytes() for name in ("whole", "parts")]
    assert logs[0] == logs[1]


def test_the_learning_rate_follows_the_budget():
    fit = Fit(network_calls=200)
    assert [fit.progress(Extent(7, calls)) for calls in (0, 50, 200, 300)] == [0, 0.25, 1, 1]
    by_steps = [Fit(steps=5).progress(Extent(step, 10**9)) for step in range(5)]
    assert by_steps == [0, 0.25, 0.5, 0.75, 1]
    fit = Fit(seconds=8)
    assert [fit.progress(Extent(3, 5, time)) for time in (0, 2, 8, 9)] == [0, 0.25, 1, 1]


def test_time_ends_a_training_and_counts_on_after_a_stop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """The clock moves on by a second whenever it is looked at."""
    clock = count()
    monkeypatch.setattr("domains.distillation.training.distiller.time.monotonic", clock.__next__)

    def trained(**fit: float) -> Distiller:
        plain = {"network_calls": None, "seconds": 1000, "validations": 4, "log_every": 1}
        return budgeted(**(plain | fit))

    part = trained(max_seconds=1e-9)
    assert not run(part, tmp_path) and 0 < part.seconds < 1000
    seen: list[float] = []
    whole = trained()
    assert run(whole, tmp_path, lambda found: seen.append(found.seconds) or {"quality": 0.0})
    assert whole.done > part.done and whole.seconds >= 1000
    assert len(seen) == 4 and all(a < b for a, b in pairwise(seen))
    last = (tmp_path / "log.csv").read_text().splitlines()
    assert int(last[-1].split(",")[last[0].split(",").index("seconds")]) == int(whole.seconds)


@pytest.mark.parametrize(
    "given", [{}, {"steps": 2, "network_calls": 100}, {"steps": 2, "seconds": 1}]
)
def test_training_ends_by_one_thing(given: dict[str, int]):
    with pytest.raises(ValueError, match="either steps, network_calls or seconds"):
        Fit(**given)


ENDS = [{"steps": 10}, {"steps": None, "network_calls": 10 * SAMPLES * (FAKE + 5)}]


@pytest.mark.parametrize("end", ENDS)
def test_validations_are_spread_over_the_training(end: dict, tmp_path: Path) -> None:
    """Stopped on the way and taken up again, they are at the same steps."""
    seen: list[int] = []

    def look(distiller: Distiller) -> dict[str, float]:
        seen.append(distiller.done)
        return {"quality": 0.0}

    def train(**fit) -> bool:
        fit = {**end, "validations": 4, **fit}
        objective = make(VSD, times=TIMES)
        given = {"objective": objective, "batches": batches, "steps": 1}
        return run(toy_distiller(fit=fit, **given), tmp_path, look)

    while not train(max_seconds=1e-9):
        pass
    assert seen == [3, 5, 8, 10]


def test_there_is_one_way_to_say_when_to_validate() -> None:
    with pytest.raises(ValueError, match="either validate_every or validations"):
        Fit(steps=3, validate_every=1, validations=1)
