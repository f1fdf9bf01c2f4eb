"""Trains the toy student in a process of its own, which may be told to die on the way.

Run by tests as ``toy_run.train`` in a child process, and by Lightning's launcher as a script,
``python toy_run.py DIRECTORY DEVICES ACCUMULATE``, with ``tests`` on the import path.
"""

import os
import signal
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import torch
from distillation.toy import blank_batches, toy_distiller, toy_validation

import domains.distillation.training.state as state_module
from domains.batch import Batch
from domains.distillation.roles import Draws
from domains.distillation.training.fit import run
from domains.distillation.training.log_table import LogTable

STEPS = 24
FIT = {
    "steps": STEPS,
    "accumulate": 2,
    "ema": 0.9,
    "checkpoint_every": 3,
    "validate_every": 4,
    "log_every": 5,
}
# The step that processes train together before one is told to stop.
TOGETHER = 5


def settings(**fit: Any) -> dict[str, Any]:
    """Everything a resumed run could forget: resets, ratios, restarts, averages."""
    return {"fit": FIT | fit, "fake_updates": 2, "reset_fake_every": 7}


def slow_batches(pause: float, index: int, draws: Draws) -> Batch:
    """Micro-batches that take their time."""
    time.sleep(pause)
    return blank_batches(index, draws)


def die(*_: object, **__: object) -> None:
    """Kill this process, as a power cut would."""
    os.kill(os.getpid(), signal.SIGKILL)


def arm(moment: str) -> None:
    """Let the third call of a function that writes files be the death of this process."""
    owner, name = {
        "checkpoint": (state_module, "sha256"),
        "checksum": (state_module, "write_text"),
        "log": (LogTable, "_write"),
    }[moment]
    original, calls = getattr(owner, name), []

    def armed(*arguments: Any) -> Any:
        calls.append(1)
        return die() if len(calls) == 3 else original(*arguments)

    setattr(owner, name, armed)


def train(directory: str, pause: float = 0.0, moment: str = "") -> None:
    """Train in ``directory`` to the end, unless stopped or dying at ``moment``."""
    torch.set_num_threads(1)
    if moment:
        arm(moment)
    distiller = toy_distiller(**settings(), batches=partial(slow_batches, pause))
    run(distiller, Path(directory), toy_validation)


def stopping_batches(devices: int, accumulate: int, index: int, draws: Draws) -> Batch:
    """Micro-batches; the second process tells itself to stop, the first never hears of it."""
    last_step = index // (devices * accumulate) == TOGETHER - 1
    if last_step and os.environ.get("LOCAL_RANK") == "1":
        os.kill(os.getpid(), signal.SIGTERM)
    return blank_batches(index, draws)


def main() -> None:
    """Train with several processes until one of them is told to stop."""
    directory, devices, accumulate = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    batches = partial(stopping_batches, devices, accumulate)
    distiller = toy_distiller(**settings(accumulate=accumulate), batches=batches)
    run(distiller, Path(directory), toy_validation, devices=devices)


if __name__ == "__main__":
    main()
