"""Stages in processes of their own, which may be killed at any moment.

A server that has imported everything forks them, so that they start at once; some of the
imports below are for that alone.
"""

import contextlib
import json
import multiprocessing
import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import torch
import yaml
from tiny_run import content, save_teacher

from domains import cli
from domains.evaluation import report  # noqa: F401
from domains.stages import sampling, training  # noqa: F401

__all__ = ["STAGES", "Runs", "contents", "make_runs", "run_stage"]

FIT = {"steps": 12, "validate_every": 3, "log_every": 2, "checkpoint_every": 2}
# What changes a file or its name, as Python announces it.
WRITES = ("open", "os.rename", "os.remove", "os.mkdir", "os.chmod")
STAGES = {
    "distill": "--student student --teacher teacher --state {0}/state --output {0}/student",
    "generate": "--set-name naive --shard 0 --model teacher --output {0}/samples/shard_0000",
    "evaluate": "--set-name naive --samples samples --output {0}/naive",
    "report": "--evaluations evaluate --output {0}/report.html --table {0}/results.csv",
    "prepare": "--source teacher --output {0}/model",
}


@dataclass(frozen=True)
class Runs:
    """A directory with all that stages read, in which each run has a directory of its own."""

    root: Path
    context: Any

    def start(self, stage: str, name: str, moment: int = -1, sent: int = signal.SIGKILL) -> Any:
        """Start a stage that writes below ``name``, and sends itself a signal at a ``moment``."""
        arguments = [stage, *STAGES[stage].format(name).split()]
        if stage != "prepare":
            arguments += ["--config", "run.yaml"]
        process = self.context.Process(
            target=run_stage, args=(str(self.root), arguments, name, moment, sent)
        )
        process.start()
        return process

    def finish(self, stage: str, name: str) -> int:
        """Run a stage to its end; its exit code."""
        process = self.start(stage, name)
        process.join(120)
        return process.exitcode

    def said(self, name: str) -> list[str]:
        """Lines of the last run in ``name``."""
        return (self.root / f"{name}.said").read_text().splitlines()

    def operations(self, name: str) -> int:
        """File operations of the last run in ``name``."""
        return int((self.root / f"{name}.count").read_text())


def make_runs(root: Path) -> Runs:
    """Write a teacher, a config and the samples of one shard."""
    settings = content(
        students={"student": {"fit": FIT}},
        generate={"shard_size": 4},
        evaluate={"novelty_shortlist": 0},
    )
    settings["sets"] = {"naive": settings["sets"]["naive"]}
    (root / "run.yaml").write_text(yaml.safe_dump(settings))
    save_teacher(root / "teacher")
    os.environ["PYTHONPATH"] = os.pathsep.join(str(Path(__file__).parents[k]) for k in (1, 2))
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["faults.stage_run"])
    runs = Runs(root, context)
    assert runs.finish("generate", ".") == 0, runs.said(".")
    return runs


def run_stage(root: str, arguments: list[str], name: str, moment: int, sent: int) -> None:
    """Run the command line in this process; send a signal at a file operation of that number."""
    os.chdir(root)
    torch.set_num_threads(1)
    sys.argv = ["fewstep", *arguments]
    with open(f"{name}.said", "w") as stream, contextlib.redirect_stderr(stream):
        _count_writes(Path(root, name), moment, sent)
        cli.main()


def _count_writes(directory: Path, moment: int, sent: int) -> None:
    counter, count = os.open(f"{directory}.count", os.O_CREAT | os.O_WRONLY | os.O_TRUNC), 0

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal count
        if event in WRITES and str(Path(str(arguments[0])).absolute()).startswith(str(directory)):
            if count == moment:
                os.kill(os.getpid(), sent)
            count += 1
            os.pwrite(counter, f"{count:9d}".encode(), 0)

    sys.addaudithook(hook)


def contents(directory: Path) -> dict[str, Any]:
    """All that a stage leaves and must be the same each time, by path."""
    found: dict[str, Any] = {}
    for path in sorted(directory.rglob("*")):
        name = str(path.relative_to(directory))
        if path.name == "index.csv":
            found[name] = pd.read_csv(path).drop(columns=["seconds", "memory_gb"]).to_csv()
        elif path.name == "shard.json":  # the index that it knows by its hash has seconds in it
            found[name] = json.loads(path.read_text()) | {"tables": ""}
        elif path.name == "set.json":
            found[name] = json.loads(path.read_text()) | {"created": ""}
        elif path.suffix == ".pt":
            found[name] = _tensors(torch.load(path, weights_only=True))
        elif path.is_file() and path.suffix != ".sha256" and "curves" not in path.parts:
            found[name] = path.read_bytes()
    return found


def _tensors(state: Any) -> Any:
    """A nested state with the bytes of its tensors."""
    if isinstance(state, dict):
        return {key: _tensors(value) for key, value in state.items()}
    if isinstance(state, list | tuple):
        return [_tensors(value) for value in state]
    return state.numpy().tobytes() if isinstance(state, torch.Tensor) else state
