"""Contract: a full disk is one line and exit code 2; nothing looks finished, all before is kept.

Small file systems in memory stand for the disk: real ENOSPC, at each size up to what a stage
needs. Where mounting isn't allowed the tests are skipped; ``test_provenance`` then remains.
"""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from faults.stage_run import Runs, contents
from refusals import FINISHED

from domains.errors import FewstepError

PAGE = 4
# KiB. Of training: no room for a log, one checkpoint, two, three.
SIZES = {
    "distill": [PAGE, 880, 1500, 2500],
    "generate": range(PAGE, 20, PAGE),
    "evaluate": [PAGE, 2 * PAGE, 80, 92],
    "report": [PAGE, 100],
    "prepare": [PAGE, 80],
}


@contextmanager
def disk(path: Path, size: int) -> Iterator[None]:
    """Mount a disk of ``size`` KiB."""
    path.mkdir()
    mount(f"size={size}k", path)
    try:
        yield
    finally:
        subprocess.run(["umount", path], check=True)


def mount(options: str, path: Path) -> None:
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(path)]
    if shutil.which("mount") is None or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("needs the right to mount a disk")


@pytest.mark.parametrize("stage", SIZES)
def test_stage_on_a_full_disk(runs: Runs, undisturbed: dict, stage: str) -> None:
    for size in SIZES[stage]:
        name = f"full_{stage}_{size}"
        with disk(runs.root / name, size):
            assert runs.finish(stage, name) == 2
            said = runs.said(name)
            assert said[-1].startswith("fewstep: ") and "No space left" in said[-1]
            assert not any("Traceback" in line for line in said)
            left = [path.name for path in (runs.root / name).rglob("*")]
            assert not set(left) & set(FINISHED)
            mount("remount,size=20m", runs.root / name)
            assert runs.finish(stage, name) == 0
            resumed = any("resuming at step" in line for line in runs.said(name))
            assert resumed == any(path.endswith(".sha256") for path in left)
            assert contents(runs.root / name) == undisturbed[stage][0]


def test_simulation_on_a_full_disk(tmp_path: Path, open3d: None) -> None:
    from domains.lidar.simulator.writer import simulate_sequence

    for size in (PAGE, 40):
        with disk(tmp_path / str(size), size):
            with pytest.raises(FewstepError, match=r"can't write .*00: got"):
                simulate_sequence(tmp_path / str(size) / "00", 0, 2, azimuths=96)
            assert not list((tmp_path / str(size)).iterdir())
