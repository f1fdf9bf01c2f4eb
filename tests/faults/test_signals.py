"""Contract: a stage that is told to stop, or started twice, leaves nothing broken or half done."""

import os
import signal
import time
from typing import Any

import pytest
from faults.stage_run import Runs, contents


@pytest.mark.parametrize(
    "sent", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP], ids=lambda sent: sent.name
)
def test_training_told_to_stop_saves_and_resumes(
    runs: Runs, undisturbed: dict, sent: signal.Signals
) -> None:
    process = runs.start("distill", sent.name, runs.operations("distill") // 2, sent)
    process.join(120)
    assert process.exitcode == 2
    assert "Run the same command again" in runs.said(sent.name)[-1]
    assert not (runs.root / sent.name / "student").exists()
    assert runs.finish("distill", sent.name) == 0
    assert any("resuming at step" in line for line in runs.said(sent.name))
    assert contents(runs.root / sent.name) == undisturbed["distill"][0]


@pytest.mark.parametrize("stage", ["generate", "evaluate"])
def test_other_stages_told_to_stop_look_unfinished(
    runs: Runs, undisturbed: dict, stage: str
) -> None:
    name = f"stopped_{stage}"
    process = runs.start(stage, name, runs.operations(stage) // 2, signal.SIGTERM)
    process.join(120)
    assert process.exitcode == -signal.SIGTERM
    assert not {"index.csv", "set.json"} & {path.name for path in (runs.root / name).rglob("*")}
    assert runs.finish(stage, name) == 0
    assert contents(runs.root / name) == undisturbed[stage][0]


def halted(runs: Runs, stage: str, name: str) -> Any:
    """Start a stage and halt it in the middle of its files."""
    process = runs.start(stage, name, runs.operations(stage) // 2, signal.SIGSTOP)
    limit = time.monotonic() + 60
    while state(process.pid) != "T":
        assert time.monotonic() < limit and process.is_alive()
        time.sleep(0.01)
    return process


def state(process: int) -> str:
    with open(f"/proc/{process}/stat") as stream:
        return stream.read().rpartition(")")[2].split()[0]


@pytest.mark.parametrize("stage", ["distill", "generate", "evaluate"])
def test_a_second_run_in_a_directory_is_refused(runs: Runs, undisturbed: dict, stage: str) -> None:
    name = f"twice_{stage}"
    first = halted(runs, stage, name)
    try:
        assert runs.finish(stage, name) == 2
        line = runs.said(name)[-1]
        assert f"another run is at work in {runs.root / name}" in line
        assert f"process {first.pid} on" in line
    finally:
        os.kill(first.pid, signal.SIGCONT)
    first.join(120)
    assert first.exitcode == 0
    assert contents(runs.root / name) == undisturbed[stage][0]
