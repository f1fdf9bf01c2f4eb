"""The command line at work on wrong input: what must come out is one line and exit code 2."""

import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tiny_run import write_config

from domains import cli

__all__ = ["Place", "make_place"]

# What a finished stage leaves behind.
FINISHED = ("model.json", "index.csv", "set.json", "report.html", "results.csv")


@dataclass(frozen=True)
class Place:
    """A directory with a valid config and teacher, and what the command said."""

    root: Path
    run: Callable[..., str]

    def __truediv__(self, name: str) -> Path:
        return self.root / name

    def refused(self, *arguments: Any) -> str:
        """Run a command that must fail; returns its line."""
        before = {path for path in self.root.rglob("*") if path.name in FINISHED}
        line = self.run(*arguments)
        after = {path for path in self.root.rglob("*") if path.name in FINISHED}
        assert after <= before, "an output looks finished"
        return line

    def generate(self, config: Path, **changes: Any) -> str:
        """Sample the teacher from a config that is wrong, or from another model."""
        options = {"config": config, "set-name": "naive", "shard": 0, "output": self / "out"}
        options |= {"model": self / "teacher"} | {
            k.replace("_", "-"): v for k, v in changes.items()
        }
        return self.refused(
            "generate", *[part for k, v in options.items() for part in (f"--{k}", v)]
        )


def make_place(
    root: Path, teacher: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture
) -> Place:
    """Return a directory with a valid config, a copy of the teacher, and the command line."""
    shutil.copytree(teacher, root / "teacher")
    write_config(root / "run.yaml")

    def run(*arguments: Any) -> str:
        monkeypatch.setattr(sys, "argv", ["fewstep", *map(str, arguments)])
        capfd.readouterr()
        with pytest.raises(SystemExit) as stopped:
            cli.main()
        lines = capfd.readouterr().err.splitlines()
        assert stopped.value.code == 2
        assert len(lines) == 1 and lines[0].startswith("fewstep: ")
        assert "Traceback" not in lines[0]
        return lines[0]

    return Place(root, run)
