"""Contract: status tells from files alone what is done, runs, has failed or was killed."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from tiny_run import content

from domains.config import parse_config
from domains.errors import FewstepError
from domains.files.lock import exclusive
from domains.stages.status import status

# Of a process that has ended, of the highest number that Linux gives.
NOBODY = 2**22 - 1


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run that has just been started: its settings, and no job."""
    directory = tmp_path / "results/tiny"
    (directory / "logs").mkdir(parents=True)
    settings = parse_config(content(title="Tiny \x1b[31m run"))
    (directory / "config.json").write_text(settings.model_dump_json())
    monkeypatch.chdir(tmp_path)
    return directory


def write(path: Path, text: str = "", age: float = 0.0) -> Path:
    """Write a file that was last changed ``age`` seconds ago."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    os.utime(path, (time.time() - age,) * 2)
    return path


def put_shard(run: Path, k: int, rows: int, skipped: int = 0, age: float = 0.0) -> None:
    shard = run / f"samples/naive/shard_{k:04d}"
    lines = [f"{n},0.5" for n in range(rows)]
    write(shard / "index.csv", "\n".join(["sample,seconds", *lines]) + "\n", age)
    if skipped:
        write(shard / "skipped.csv", "sample,reason\n" + "9,no\n" * skipped)


def seen(capsys: pytest.CaptureFixture) -> dict[tuple[str, str], dict[str, Any]]:
    """Rows by stage and name."""
    status(json=True)
    found = json.loads(capsys.readouterr().out)
    return {(row["stage"], row["name"]): row for row in found["stages"]}


def test_a_run_that_has_not_begun_waits(run: Path, capsys: pytest.CaptureFixture) -> None:
    rows = seen(capsys)
    assert {row["state"] for row in rows.values()} == {"waiting"}
    names = {name for _, name in rows}
    assert names == {"", "student", "data", "naive", "student_2"}
    assert [stage for stage, name in rows if not name] == ["prepare", "describe", "report"]


def test_done_is_what_has_its_product(run: Path, capsys: pytest.CaptureFixture) -> None:
    for path in ("teacher/model.json", "evaluation/data/set.json", "results.csv"):
        write(run / path)
    rows = seen(capsys)
    done = {key for key, row in rows.items() if row["state"] == "done"}
    assert done == {("prepare", ""), ("evaluate", "data"), ("report", "")}


@pytest.mark.parametrize(
    ("log", "line"),
    [
        ("some words\nfewstep: no such thing: got 3. Do it.\n", "no such thing: got 3. Do it."),
        ("Traceback (most recent call last):\n  x\nZeroDivisionError: 1/0\n\n", "ZeroDivision"),
        ("x" * 100_000 + "\nfewstep: late.\n", "late."),
    ],
    ids=["error", "traceback", "long"],
)
def test_failed_is_what_says_so(
    run: Path, capsys: pytest.CaptureFixture, log: str, line: str
) -> None:
    write(run / "logs/evaluate_data.log", log)
    row = seen(capsys)["evaluate", "data"]
    assert row["state"] == "failed" and line in row["errors"][0]
    status()
    assert f"evaluate data failed: {line}" in capsys.readouterr().out


@pytest.mark.parametrize(("age", "state"), [(5, "running"), (3600, "quiet")])
def test_running_without_a_lock_means_a_recent_sign(
    run: Path, capsys: pytest.CaptureFixture, age: float, state: str
) -> None:
    write(run / "logs/evaluate_data.log", age=age)
    row = seen(capsys)["evaluate", "data"]
    assert row["state"] == state and age <= row["seconds_since_sign"] < age + 60


def test_running_is_what_holds_its_lock(run: Path, capsys: pytest.CaptureFixture) -> None:
    """However long it is silent; a process that is gone was killed."""
    log = write(run / "logs/generate_naive_0001.log", age=3600)
    shard = run / "samples/naive/shard_0001"
    with exclusive(shard):
        os.utime(shard, (time.time() - 3600,) * 2)
        assert seen(capsys)["generate", "naive"]["parts"] == {"waiting": 1, "running": 1}
        lock = shard.parent / ".shard_0001.fewstep-lock"
        held = lock.read_text()
    write(lock, held.replace(str(os.getpid()), str(NOBODY)))
    write(log)
    assert seen(capsys)["generate", "naive"]["state"] == "killed"


def test_a_lock_of_another_machine_proves_nothing(run: Path, capsys: pytest.CaptureFixture) -> None:
    write(run / "logs/generate_naive_0000.log", age=3600)
    write(run / "samples/naive/.shard_0000.fewstep-lock", f"process {NOBODY} on another")
    assert seen(capsys)["generate", "naive"]["state"] == "quiet"


def test_samples_are_counted(run: Path, capsys: pytest.CaptureFixture) -> None:
    put_shard(run, 0, rows=2, age=100)
    row = seen(capsys)["generate", "naive"]
    assert (row["done"], row["of"], row["samples"], row["asked"]) == (1, 2, 2, 4)
    assert row["speed"] is None and row["seconds_per_sample"] == 0.5
    put_shard(run, 1, rows=1, skipped=1)
    row = seen(capsys)["generate", "naive"]
    assert (row["state"], row["samples"], row["skipped"]) == ("done", 3, 1)
    assert row["speed"] == pytest.approx(1 / 100, rel=0.1)
    status()
    assert "generate naive: 3 of 4 samples, 1 skipped, 0.5 s each" in capsys.readouterr().out


def put_training(run: Path, *checkpoints: tuple[int, float], step: int = 2) -> None:
    """A training that began 100 s ago and logged a step just now."""
    state = run / "state/student"
    write(state / "settings.json", "{}", age=100)
    header, row = "step,student/loss,validation/quality", f"{step},0.25,"
    write(state / "log.csv", f"{header}\n1,0.5,0.125\n{row}\n")
    for saved, age in checkpoints:
        write(state / f"state/step-{saved:09d}.pt", age=age)
    write(run / "logs/distill_student.log")


def test_training_shows_step_speed_and_metrics(run: Path, capsys: pytest.CaptureFixture) -> None:
    put_training(run)
    row = seen(capsys)["distill", "student"]
    assert (row["state"], row["done"], row["of"], row["checkpoint"]) == ("running", 2, 3, None)
    assert row["speed"] == pytest.approx(2 / 100, rel=0.1)
    assert row["seconds_left"] == pytest.approx(50, rel=0.1)
    assert row["metrics"] == {"student/loss at 2": 0.25, "validation/quality at 1": 0.125}


def test_a_budget_is_shown_in_network_calls(run: Path, capsys: pytest.CaptureFixture) -> None:
    settings = content()
    settings["students"]["student"]["fit"] = {"network_calls": 1000}
    (run / "config.json").write_text(parse_config(settings).model_dump_json())
    put_training(run)
    write(run / "state/student/log.csv", "step,network_calls,student/loss\n2,400,0.25\n")
    row = seen(capsys)["distill", "student"]
    assert (row["done"], row["of"], row["unit"]) == (400, 1000, "network calls")
    assert row["speed"] == pytest.approx(400 / 100, rel=0.1)
    assert row["seconds_left"] == pytest.approx(600 / 4, rel=0.1)


@pytest.mark.parametrize(
    ("checkpoints", "speed"),
    [
        (((1, 50), (2, 10)), 1 / 40),  # both of this start
        (((1, 9000),), 1 / 100),  # resumed from it 100 s ago
        (((1, 9000), (2, 10)), 1 / 100),
    ],
)
def test_pauses_do_not_count(
    run: Path, capsys: pytest.CaptureFixture, checkpoints: tuple, speed: float
) -> None:
    put_training(run, *checkpoints)
    row = seen(capsys)["distill", "student"]
    assert row["checkpoint"] == checkpoints[-1][0]
    assert row["speed"] == pytest.approx(speed, rel=0.1)


def test_time_left_is_of_what_runs(run: Path, capsys: pytest.CaptureFixture) -> None:
    put_training(run)
    write(run / "logs/distill_student.log", "fewstep: training stopped at step 2 of 3.\n")
    assert "seconds_left" not in seen(capsys)["distill", "student"]


def test_a_loss_that_is_no_number_is_shown(run: Path, capsys: pytest.CaptureFixture) -> None:
    write(run / "state/student/log.csv", "step,student/loss\n1,nan\n")
    assert seen(capsys)["distill", "student"]["metrics"] == {"student/loss at 1": None}
    status()
    assert "student/loss at 1: not finite" in capsys.readouterr().out


def test_text_of_files_commands_no_terminal(run: Path, capsys: pytest.CaptureFixture) -> None:
    write(run / "logs/evaluate_data.log", "fewstep: \x1b]0;title\x07 bad.\n")
    status()
    assert "\x1b" not in capsys.readouterr().out


def test_a_damaged_table_is_one_line(run: Path) -> None:
    for text in ("step,a/loss\nmany,1\n", "step,a/loss\n1,much\n", "a/loss\n1\n", 'step\n"1'):
        write(run / "state/student/log.csv", text)
        with pytest.raises(FewstepError, match=r"log\.csv"):
            status(run)


SHARDS = {
    "text": "sample,seconds\n0,abc\n",
    "infinite": "sample,seconds\n0,1e999\n",
    "5,000 digits": "sample,seconds\n0," + "9" * 5000 + "\n",
    "NaN": "sample,seconds\n0,nan\n",
    "negative": "sample,seconds\n0,-1\n",
    "no column": "sample\n0\n",
    "a long field": 'sample,seconds\n0,"' + "1" * 200_000 + '"\n',
}


@pytest.mark.parametrize("text", SHARDS.values(), ids=SHARDS)
def test_a_wrong_shard_is_one_line(run: Path, text: str) -> None:
    write(run / "samples/naive/shard_0000/index.csv", text)
    for json_too in (False, True):
        with pytest.raises(FewstepError, match=r"shard_0000/index\.csv") as error:
            status(run, json_too)
        assert len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize("count", ["9" * 5000, "9" * 400, "-1", "1e3", "\u0663", "1_000"])
def test_a_wrong_count_is_one_line(run: Path, count: str) -> None:
    write(run / "state/student/log.csv", f"step,a/loss\n{count},1\n")
    with pytest.raises(FewstepError, match=r"log\.csv"):
        status(run)


PIPES = ["config.json", "samples/naive/shard_0000/index.csv", "state/student/log.csv"]


@pytest.mark.parametrize("name", PIPES)
def test_a_pipe_is_not_waited_for(run: Path, name: str) -> None:
    (run / name).parent.mkdir(parents=True, exist_ok=True)
    (run / name).unlink(missing_ok=True)
    os.mkfifo(run / name)
    with pytest.raises(FewstepError, match=Path(name).name.replace(".", r"\.")):
        status(run)


def test_a_log_or_lock_that_is_a_pipe_says_nothing(
    run: Path, capsys: pytest.CaptureFixture
) -> None:
    os.mkfifo(run / "logs/evaluate_data.log")
    (run / "evaluation").mkdir()
    os.mkfifo(run / "evaluation/.data.fewstep-lock")
    assert seen(capsys)["evaluate", "data"]["state"] in ("running", "quiet")


@pytest.mark.parametrize("make", ["file", "link", "pipe"])
@pytest.mark.parametrize("name", ["results", "results/tiny", "results/tiny/config.json"])
def test_what_is_no_run_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, make: str
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    made = {"file": Path.touch, "pipe": os.mkfifo, "link": lambda p: p.symlink_to("nowhere")}
    made[make](path)
    for directory in (None, tmp_path / "results/tiny"):
        with pytest.raises(FewstepError) as error:
            status(directory)
        assert len(str(error.value).splitlines()) == 1


def test_the_run_that_started_last_is_shown(run: Path, capsys: pytest.CaptureFixture) -> None:
    old = run.with_name("old") / "config.json"
    write(old, (run / "config.json").read_text(), age=1000)
    status()
    assert "results/tiny" in capsys.readouterr().out
    status(old.parent)
    assert "results/old" in capsys.readouterr().out


def test_no_run_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FewstepError, match="no run"):
        status()
    with pytest.raises(FewstepError, match="nowhere"):
        status(Path("nowhere"))


def test_it_loads_neither_torch_nor_snakemake(run: Path) -> None:
    code = "import sys; from domains.stages.status import status; status()\n"
    code += "print([m for m in ('torch', 'pandas', 'snakemake') if m in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout.endswith("[]\n"), result.stdout + result.stderr
