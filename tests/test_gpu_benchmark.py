"""The GPU benchmark: every case runs in tiny sizes on a CPU, and faults stay where they are."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import gpu

ROOT = Path(__file__).resolve().parents[1]


def test_dry_run_runs_every_case(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks.gpu", "--dry-run", "--output", str(tmp_path)]
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    tables = json.loads((tmp_path / "gpu.json").read_text())["sections"]
    assert list(tables) == list(gpu.SECTIONS)
    assert all(row["equal"] for row in tables["equality"])
    for name in ("network", "training", "sampling", "scenes"):
        assert tables[name] and all(row["ms"] > 0 for row in tables[name]), name
    told = [row["case"].rpartition(", 28 chains")[0] for row in tables["training"][1:]]
    assert told == ["flow map", "vsd", "sid", "sid, one roll-out"]
    assert "| network: proteina-small |" in (tmp_path / "gpu.md").read_text()


def test_section_is_stopped_in_time() -> None:
    (row,) = gpu.measured("network", 0.2, dry=True)
    assert row["error"].startswith("stopped after 0 s")


def test_no_time_left_is_said() -> None:
    assert "no time" in gpu.measured("network", -1, dry=True)[0]["error"]


def test_failing_case_loses_itself_only(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    module = type(sys)("benchmarks.gpu_sections.faulty")
    module.cases = lambda machine: [  # type: ignore[attr-defined]
        ("bad", lambda: {"ms": 1 / 0}),
        ("good", lambda: {"ms": 1.0, "relative_difference": float("nan")}),
    ]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    out, said = os.dup(1), os.dup(2)
    with (tmp_path / "rows").open("w") as stream:
        os.dup2(stream.fileno(), 1)
        try:
            gpu.run_section("faulty", dry=True)
        finally:
            os.dup2(out, 1)
            os.dup2(said, 2)
    rows = [json.loads(line) for line in (tmp_path / "rows").read_text().splitlines()]
    assert rows[0]["error"].startswith("ZeroDivisionError")
    assert rows[1]["ms"] == 1.0 and rows[1]["relative_difference"] == "nan"


def test_without_a_gpu_it_says_so(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks.gpu", "--output", str(tmp_path)]
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 2 and "--dry-run" in done.stderr
