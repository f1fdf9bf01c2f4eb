"""Contract: a run stopped anywhere, by anything, ends exactly as one that never was."""

import logging
import multiprocessing
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from damage import flip, truncate
from distillation.toy import blank_batches, toy_distiller, toy_validation
from distillation.toy_run import FIT, STEPS, settings, train
from torch import Tensor

from domains.batch import Batch
from domains.distillation.roles import Draws
from domains.distillation.training import fit as fit_module
from domains.distillation.training.distiller import Distiller
from domains.distillation.training.fit import run
from domains.errors import FewstepError

LAST = Path("state") / f"step-{STEPS:09d}.pt"


def new(**fit: Any) -> Distiller:
    return toy_distiller(**settings(**fit))


def flat(state: Any, name: str = "") -> dict[str, Any]:
    """Leaves of a nested state by path."""
    if isinstance(state, dict | list | tuple):
        items = state.items() if isinstance(state, dict) else enumerate(state)
        return {k: v for key, value in items for k, v in flat(value, f"{name}/{key}").items()}
    return {name: state}


def finish(directory: Path, **fit: Any) -> None:
    """Resume until the last step is reached."""
    while not run(new(**fit), directory, toy_validation):
        pass


def assert_same_end(directory: Path, reference: Path) -> None:
    ours, theirs = (
        flat(torch.load(path / LAST, weights_only=True)) for path in (directory, reference)
    )
    assert ours.keys() == theirs.keys() and len(ours) > 40
    for name, value in theirs.items():
        equal = torch.equal(ours[name], value) if isinstance(value, Tensor) else ours[name] == value
        assert equal, name
    assert (directory / "log.csv").read_bytes() == (reference / "log.csv").read_bytes()


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that is not interrupted."""
    directory = tmp_path_factory.mktemp("reference")
    distiller = new()
    assert run(distiller, directory, toy_validation)
    assert distiller.done == STEPS
    assert 0 < distiller.best.step < STEPS  # so that "best" has something to lose
    saved = torch.load(directory / LAST, weights_only=True)["best"]
    assert (saved["step"], saved["score"]) == (distiller.best.step, distiller.best.score)
    assert saved["weights"].keys() == distiller.average.state_dict().keys()
    return directory


@pytest.fixture(scope="module")
def processes() -> Iterator[Any]:
    """Child processes that start at once: a server that has imported everything forks them."""
    roots = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join(roots))
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["distillation.toy_run"])
        yield context


def test_a_finished_run_does_nothing_more(reference: Path):
    before = (reference / LAST).stat().st_mtime_ns, (reference / "log.csv").read_bytes()
    distiller = new()
    assert run(distiller, reference, toy_validation)
    assert distiller.done == STEPS
    after = (reference / LAST).stat().st_mtime_ns, (reference / "log.csv").read_bytes()
    assert before == after


@pytest.mark.parametrize("stops", [(1,), (2, 3), (4, 7, 8), (13,), (22, 23)], ids=str)
def test_stopped_by_the_clock(
    tmp_path: Path, reference: Path, monkeypatch: pytest.MonkeyPatch, stops: tuple[int, ...]
):
    """A clock that counts steps stops the run after each number of ``stops``."""
    for stop in stops:
        distiller = new(max_seconds=stop - 0.5)
        now = SimpleNamespace(monotonic=lambda made=distiller: made.done if made.trained else 0)
        distiller.trained = False

        def batches(index: int, draws: Draws, made: Distiller = distiller) -> Batch:
            made.trained = True
            return blank_batches(index, draws)

        object.__setattr__(distiller.plan, "batches", batches)
        monkeypatch.setattr(fit_module, "time", now)
        assert not run(distiller, tmp_path, toy_validation)
        assert distiller.done == stop
    monkeypatch.undo()
    finish(tmp_path)
    assert_same_end(tmp_path, reference)


def test_stopped_by_a_signal_in_the_middle_of_a_step(tmp_path: Path, reference: Path):
    def batches(index: int, draws: Draws) -> Batch:
        if index == 2 * 10:  # of step 10, the eleventh
            os.kill(os.getpid(), signal.SIGTERM)
        return blank_batches(index, draws)

    before = signal.getsignal(signal.SIGTERM)
    distiller = toy_distiller(**settings(), batches=batches)
    assert not run(distiller, tmp_path, toy_validation)
    assert distiller.done == 11
    assert signal.getsignal(signal.SIGTERM) is before
    finish(tmp_path)
    assert_same_end(tmp_path, reference)


def wait_for(condition: Any, process: Any, seconds: float = 60) -> None:
    limit = time.monotonic() + seconds
    while not condition() and process.is_alive():
        assert time.monotonic() < limit, "the child makes no progress"
        time.sleep(0.01)


def child(processes: Any, directory: Path, **options: Any) -> Any:
    process = processes.Process(target=train, args=(str(directory),), kwargs=options)
    process.start()
    return process


def test_a_process_that_is_told_to_stop_saves_and_leaves_in_peace(
    tmp_path: Path, reference: Path, processes: Any
):
    process = child(processes, tmp_path, pause=0.02)
    wait_for(lambda: (tmp_path / "state").exists(), process)
    process.terminate()
    process.join(60)
    assert process.exitcode == 0
    assert not (tmp_path / LAST).exists()
    finish(tmp_path)
    assert_same_end(tmp_path, reference)


@pytest.mark.parametrize("moment", ["checkpoint", "checksum", "log"])
def test_killed_while_writing(tmp_path: Path, reference: Path, processes: Any, moment: str):
    process = child(processes, tmp_path, moment=moment)
    process.join(60)
    assert process.exitcode == -signal.SIGKILL
    assert list((tmp_path / "state").glob("*.pt"))
    finish(tmp_path)
    assert_same_end(tmp_path, reference)
    assert not list((tmp_path / "state").glob(".step-*"))


@pytest.mark.parametrize("damage", [truncate, flip])
def test_a_damaged_checkpoint_costs_time_but_changes_nothing(
    tmp_path: Path, reference: Path, caplog: pytest.LogCaptureFixture, damage: Any
):
    def batches(index: int, draws: Draws) -> Batch:
        if index == 2 * 10:
            os.kill(os.getpid(), signal.SIGTERM)
        return blank_batches(index, draws)

    run(toy_distiller(**settings(), batches=batches), tmp_path, toy_validation)
    damage(tmp_path / "state" / "step-000000011.pt")
    with caplog.at_level(logging.INFO):
        finish(tmp_path)
    assert "step-000000011.pt" in caplog.text and "falling back" in caplog.text
    assert "resuming at step 9" in caplog.text
    assert_same_end(tmp_path, reference)


def test_a_checkpoint_of_other_settings_is_not_resumed(tmp_path: Path):
    """Though it has the same networks; and stays where it is. One that names none is resumed."""
    short = {"steps": 1, "checkpoint_every": 1}
    run(new(**short), tmp_path, settings="a" * 64)
    before = {path: path.read_bytes() for path in (tmp_path / "state").iterdir()}
    with pytest.raises(
        FewstepError, match=r"under other settings: sha256 a{12}, not b{12}"
    ) as error:
        run(new(**short), tmp_path, settings="b" * 64)
    assert len(str(error.value).splitlines()) == 1
    assert before == {path: path.read_bytes() for path in before}
    assert run(new(**short), tmp_path, settings="a" * 64)
    run(new(**short), tmp_path / "unnamed")
    assert run(new(**short), tmp_path / "unnamed", settings="b" * 64)


def test_the_seed_decides_everything(tmp_path: Path, reference: Path):
    other = toy_distiller(**settings(), seed=1)
    run(other, tmp_path, toy_validation)
    with pytest.raises(AssertionError):
        assert_same_end(tmp_path, reference)


def test_logging_and_checkpointing_do_not_change_training(tmp_path: Path, reference: Path):
    distiller = new(log_every=1, checkpoint_every=7)
    run(distiller, tmp_path, toy_validation)
    theirs = torch.load(reference / LAST, weights_only=True)["networks"]["student"]
    for name, value in distiller.student.state_dict().items():
        assert torch.equal(value, theirs[name])
    assert FIT["log_every"] != 1
