"""Processes, and what stages leave when nothing disturbs them."""

import time
from typing import Any

import pytest
from faults.stage_run import STAGES, Runs, contents, make_runs


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    return make_runs(tmp_path_factory.mktemp("faults"))


@pytest.fixture(scope="session")
def undisturbed(runs: Runs) -> dict[str, tuple[dict[str, Any], float]]:
    """What each stage leaves in a directory of its name, and the seconds that it takes."""
    found = {}
    for stage in STAGES:
        began = time.monotonic()
        assert runs.finish(stage, stage) == 0, runs.said(stage)
        found[stage] = contents(runs.root / stage), time.monotonic() - began
    return found
