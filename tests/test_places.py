"""Contract: no option of a command makes it write over what it reads or has just written."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from refusals import Place
from tiny_run import save_teacher

from domains.errors import FewstepError
from domains.files.model_files import read_model
from domains.stages.places import check_places


def everything(root: Path) -> dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}


DISTILL = ("distill", "--config", "run.yaml", "--student", "student")
REPORT = ("report", "--config", "run.yaml", "--evaluations", "results")
MERGE = ("merge", "--config", "run.yaml", "--set-name", "naive", "--samples", "samples")
PREPARE = ("prepare", "--source", "teacher")
CASES = [
    (*DISTILL, "--teacher", "teacher", "--state", "state", "--output", "teacher"),
    (*DISTILL, "--teacher", "teacher", "--state", "teacher", "--output", "student"),
    (*DISTILL, "--teacher", "teacher", "--state", "state", "--output", "state"),
    (*DISTILL, "--teacher", "teacher", "--state", "state", "--output", "state/state"),
    (*DISTILL, "--teacher", "mine/state", "--state", "mine", "--output", "student"),
    (*DISTILL, "--teacher", "link", "--state", "state", "--output", "teacher"),
    (*DISTILL, "--teacher", "teacher", "--state", "state", "--output", "mine/../teacher"),
    ("pretrain", "--config", "run.yaml", "--state", "out", "--output", "link/../out"),
    (*REPORT, "--output", "a", "--table", "a"),
    (*REPORT, "--output", "a.tex", "--table", "a.csv"),
    (*REPORT, "--output", "a.html", "--table", "a.tex"),
    (*REPORT, "--output", "run.yaml", "--table", "a.csv"),
    (*REPORT, "--output", "a.html", "--table", "log.csv", "--training-log", "log.csv"),
    (*REPORT, "--output", "log.tex", "--table", "a.csv", "--training-log", "log.tex"),
    (*REPORT, "--output", "results/set/set.json", "--table", "a.csv"),
    (*REPORT, "--output", "a.html", "--table", "results/set/set.csv"),
    ("compare", "--config", "m.yaml", "--results", "results", "--output", "a", "--table", "./a"),
    ("compare", "--config", "a", "--results", "results", "--output", "a", "--table", "b"),
    (*MERGE, "--output", "a.csv", "--skipped", "a.csv"),
    (*MERGE, "--output", "samples/shard_0000/index.csv", "--skipped", "samples/skipped.csv"),
    (*MERGE, "--output", "samples", "--skipped", "skipped.csv"),
    (*PREPARE, "--output", "teacher"),
    (*PREPARE, "--output", "link"),
    ("prepare", "--source", "teacher/model.safetensors", "--output", "teacher"),
    ("prepare", "--source", "a.pt", "--architecture", "teacher/model.json", "--output", "teacher"),
    ("tune", "--config", "run.yaml", "--set-name", "a", "--model", "teacher", "--output",
     "teacher/model.json"),
    ("tune", "--config", "run.yaml", "--set-name", "a", "--model", "teacher", "--output",
     "run.yaml"),
    ("generate", "--config", "run.yaml", "--set-name", "naive", "--shard", "0", "--model",
     "teacher", "--output", "teacher"),
    ("evaluate", "--config", "run.yaml", "--set-name", "naive", "--samples", "samples",
     "--output", "samples"),
    ("evaluate", "--config", "run.yaml", "--set-name", "naive", "--samples", "samples",
     "--tools", "tools", "--output", "tools"),
]  # fmt: skip


@pytest.mark.parametrize("arguments", CASES, ids=lambda case: " ".join(case[3:])[-70:])
def test_a_command_that_would_destroy_is_refused(
    place: Place, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    monkeypatch.chdir(place.root)
    for name in ("mine", "results/set", "samples/shard_0000", "tools"):
        (place / name).mkdir(parents=True)
    shutil.copytree(place / "teacher", place / "mine/state")
    (place / "link").symlink_to("teacher")
    for name in ("log.csv", "log.tex", "a.pt", "results/set/set.json", "results/set/set.csv"):
        (place / name).write_text("mine")
    before = everything(place.root)
    assert "are in each other's way" in place.run(*arguments)
    assert everything(place.root) == before


ALLOWED: list[dict[str, object]] = [
    {"samples": Path("s"), "output": Path("s/index.csv"), "skipped": Path("s/skipped.csv")},
    {"results": Path("r"), "output": Path("r/m/matrix.html"), "table": Path("r/m/matrix.csv")},
    {"config": Path("r/config.json"), "output": Path("r/report.html"), "table": Path("r/a.csv")},
    {"teacher": Path("r/teacher"), "state": Path("r/state/a"), "output": Path("r/students/a")},
    {"config": Path("mine/run.yaml"), "state": Path("mine"), "output": Path("mine/student")},
    {"source": "teacher/weights.ckpt", "output": Path("teacher")},
    {"source": "proteina-small", "output": Path("proteina-small")},
    {"domain": "protein", "source": "a.ckpt", "output": Path("protein")},
    {"samples": Path("r/samples/a"), "tools": Path("tools"), "output": Path("r/evaluation/a")},
    {"model": Path("t"), "sampler": None, "output": Path("t/samples"), "shard": 0},
]


@pytest.mark.parametrize("options", ALLOWED, ids=str)
def test_other_places_are_allowed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: dict[str, object]
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("teacher", "proteina-small", "protein"):
        (tmp_path / name).mkdir()
    (tmp_path / "teacher/weights.ckpt").touch()
    (tmp_path / "a.ckpt").touch()
    check_places(options)


def test_places_are_compared_on_the_disk(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to(tmp_path / "b")
    with pytest.raises(FewstepError, match="--state and --output"):
        check_places({"state": tmp_path / "b/x/..", "output": tmp_path / "a"})


def test_a_model_of_others_is_moved_aside(tmp_path: Path) -> None:
    """Not a file of ours that a killed process has left, however."""
    model = save_teacher(tmp_path / "model")
    weights = (model / "model.safetensors").read_bytes()
    (model / "model.json").unlink()
    save_teacher(model)
    assert {path.name for path in model.iterdir()} == {"model.json", "model.safetensors"}
    for name in ("model.json", "model.safetensors"):
        (model / name).write_text("mine")
    save_teacher(model)
    assert (model / "model.safetensors").read_bytes() == weights
    for name in ("model.json.other", "model.safetensors.other"):
        assert (model / name).read_text() == "mine"
    save_teacher(model, seed=1)
    assert len(list(model.iterdir())) == 4 and read_model(model)


COMMANDS: dict[str, Callable[[], list[str]]] = {
    "the package": lambda: ["-m", "domains"],
    "its command line": lambda: ["-m", "domains.cli"],
}


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_it_can_be_run_as_a_module(tmp_path: Path, command: Callable[[], list[str]]) -> None:
    root = Path(__file__).parents[1]
    environment = os.environ | {"PYTHONPATH": str(root)}

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        line = [sys.executable, *command(), *arguments]
        return subprocess.run(line, cwd=tmp_path, env=environment, capture_output=True, text=True)

    assert "distill" in run("--help").stdout
    failed = run("status", "--run", "nothing")
    assert failed.returncode == 2 and failed.stderr.startswith("fewstep: ")
