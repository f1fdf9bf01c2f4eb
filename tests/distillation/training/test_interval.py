"""Contract: checkpoints and validations by the clock, and at the end of a training."""

from pathlib import Path

import pytest
from distillation.toy import toy_distiller

from domains.distillation.training import fit as fit_module
from domains.distillation.training.distiller import Distiller
from domains.distillation.training.fit import run
from domains.distillation.training.interval import Interval
from domains.distillation.training.settings import Fit


@pytest.fixture
def minute_a_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every step take a minute."""
    now = [0.0]
    step = Distiller.training_step

    def slow(self: Distiller, number: int, batch_idx: int) -> None:
        step(self, number, batch_idx)
        now[0] += 60

    monkeypatch.setattr(Distiller, "training_step", slow)
    monkeypatch.setattr(fit_module, "Interval", lambda minutes: Interval(minutes, lambda: now[0]))


@pytest.mark.usefixtures("minute_a_step")
def test_checkpoints_by_minutes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    saved = []
    monkeypatch.setattr(
        fit_module.StateDirectory, "save", lambda self, step, state: saved.append(step)
    )
    fit = {"steps": 8, "checkpoint_every": 1, "checkpoint_minutes": 3}
    run(toy_distiller(fit=fit), tmp_path)
    assert saved == [3, 6, 8]


@pytest.mark.usefixtures("minute_a_step")
def test_validations_by_minutes(tmp_path: Path):
    seen = []

    def look(distiller: Distiller) -> dict[str, float]:
        seen.append(distiller.done)
        return {"quality": 0.0}

    run(toy_distiller(fit={"steps": 7, "validate_minutes": 2.5}), tmp_path, look)
    assert seen == [3, 6, 7]


def test_there_is_one_way_to_say_when_to_validate():
    assert Fit(steps=3, validate_minutes=1).validates and not Fit(steps=3).validates
    for other in ("validations", "validate_every"):
        with pytest.raises(ValueError, match="validate_minutes says when to validate"):
            Fit(steps=3, validate_minutes=1, **{other: 2})


def test_what_takes_longer_than_its_interval_leaves_time_for_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    now, seen = [0.0], []
    step = Distiller.training_step

    def slow(self: Distiller, number: int, batch_idx: int) -> None:
        step(self, number, batch_idx)
        now[0] += 20

    def look(distiller: Distiller) -> dict[str, float]:
        seen.append(distiller.done)
        now[0] += 90
        return {"quality": 0.0}

    monkeypatch.setattr(Distiller, "training_step", slow)
    monkeypatch.setattr(fit_module, "Interval", lambda minutes: Interval(minutes, lambda: now[0]))
    run(toy_distiller(fit={"steps": 7, "validate_minutes": 1}), tmp_path, look)
    assert seen == [3, 6, 7]
