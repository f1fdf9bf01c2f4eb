"""Contract: n processes train as one that accumulates n times more, and stop together."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from distillation.toy import toy_distiller, toy_validation
from distillation.toy_run import STEPS, TOGETHER, settings

from domains.distillation.training.distiller import STUDENT
from domains.distillation.training.fit import process_count, run
from domains.errors import FewstepError

HERE = Path(__file__).parent


def test_two_processes_equal_one_that_accumulates_twice_as_much(tmp_path: Path):
    """Only the second process is told to stop; what both saved resumes in one process."""
    command = [sys.executable, str(HERE / "toy_run.py"), str(tmp_path / "two"), "2", "1"]
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(HERE.parents[1]), str(HERE.parent)]),
        "CUDA_VISIBLE_DEVICES": "",
        "OMP_NUM_THREADS": "1",
    }
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr

    one = toy_distiller(**settings(accumulate=2))
    assert run(one, tmp_path / "one", toy_validation)
    two = toy_distiller(**settings(accumulate=2))
    saved = sorted((tmp_path / "two" / "state").glob("*.pt"))[-1]
    assert saved.stem == f"step-{TOGETHER:09d}"
    assert run(two, tmp_path / "two", toy_validation)
    assert two.done == one.done == STEPS
    assert two.best.step == one.best.step
    assert two.network_calls == one.network_calls > 0
    expected, found = one.training_state(), two.training_state()
    for role in (STUDENT, "fake"):
        ours, theirs = found["networks"][role], expected["networks"][role]
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-6)
    torch.testing.assert_close(found["average"], expected["average"], rtol=0, atol=1e-6)
    start = toy_distiller(**settings()).training_state()["networks"][STUDENT]
    assert max(float((start[k] - found["networks"][STUDENT][k]).abs().max()) for k in start) > 0.02


@pytest.mark.parametrize("text", ["abc", "0", "-1", "1.5", ""])
def test_a_number_of_devices_that_is_none_is_refused(monkeypatch, text: str) -> None:
    monkeypatch.setenv("FEWSTEP_DEVICES", text)
    with pytest.raises(FewstepError, match="FEWSTEP_DEVICES"):
        process_count()
