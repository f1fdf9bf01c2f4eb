"""Contract: a stage killed at any moment, any number of times, ends as one that never was.

Half of the moments are file operations, half are drawn by the clock. FEWSTEP_ALL_KILLS=1 kills
training 20 times, sampling and evaluation 10 times each; else it is three times each.
"""

import os
import random
import signal
from itertools import count

import pytest
from faults.stage_run import Runs, contents

KILLS = {"distill": 20, "generate": 10, "evaluate": 10}
SOME = 3


def kill(runs: Runs, stage: str, name: str, chance: random.Random, seconds: float) -> bool:
    """Run a stage and kill it at a random moment; returns whether it was still running."""
    if chance.random() < 0.5:
        process = runs.start(stage, name, moment=chance.randrange(runs.operations(stage)))
        process.join(120)
    else:
        process = runs.start(stage, name)
        process.join(chance.uniform(0, seconds))
        process.kill()
        process.join()
    return process.exitcode == -signal.SIGKILL


@pytest.mark.parametrize("stage", KILLS)
def test_killed_at_random_moments(runs: Runs, undisturbed: dict, stage: str) -> None:
    kills = KILLS[stage] if os.environ.get("FEWSTEP_ALL_KILLS") == "1" else SOME
    chance, (expected, seconds), killed = random.Random(4), undisturbed[stage], 0
    for number in count():
        name = f"killed_{stage}_{number}"
        while killed < kills and kill(runs, stage, name, chance, seconds):
            killed += 1
        assert runs.finish(stage, name) == 0, runs.said(name)
        assert contents(runs.root / name) == expected
        if killed == kills:
            break
    print(f"{stage}: killed {killed} times, {number + 1} runs ended alike")
