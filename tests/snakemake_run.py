"""The workflow in a directory of its own, as a user starts it."""

import os
import re
import subprocess
import sys
from pathlib import Path

from domains.config import PRETRAIN, RunConfig, bundled_models, load_config

__all__ = ["BIN", "CONFIGS", "planned", "settings_file", "snakemake", "stand_in"]

ROOT = Path(__file__).parents[1]
CONFIGS = ROOT / "workflows/config"
BIN = Path(sys.executable).parent


def settings_file(name: str) -> Path:
    """The file of a run's settings, in whichever folder it stands."""
    (found,) = CONFIGS.glob(f"*/{name}.yaml")
    return found


def stand_in(settings: Path, place: Path) -> RunConfig:
    """Put empty files where a run's settings name what its reader has; return the run."""
    for number in range(3):
        _touch(place / f"scans/{number}.bin")
    run = load_config(settings)
    start = run.pretrain.start if run.pretrain else None
    sources = {run.teacher, start, *run.models.values()} - {*bundled_models(), PRETRAIN, None}
    for name in sources:
        _touch(place / name)
    return run


def _touch(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()


def snakemake(
    directory: Path, config: Path | list[Path], *options: str
) -> subprocess.CompletedProcess[str]:
    """Run the workflow; of several files of settings each changes those before it."""
    configs = [config] if isinstance(config, Path) else config
    command = [BIN / "snakemake", "--snakefile", ROOT / "Snakefile", "--directory", directory]
    command += ["--configfile", *configs, "--cores", "1", "--nocolor", *options]
    environment = os.environ | {
        "PATH": f"{BIN}:{os.environ['PATH']}",
        "PYTHONPATH": os.environ.get("PYTHONPATH", str(ROOT)),
        "OMP_NUM_THREADS": "1",
        "XDG_CACHE_HOME": str(directory / "cache"),
    }
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=900)


def planned(directory: Path, config: Path | list[Path], *options: str) -> dict[str, int]:
    """Jobs by rule that a dry run announces."""
    result = snakemake(directory, config, "--dry-run", *options)
    text = result.stdout + result.stderr
    assert result.returncode == 0, text
    table = re.search(r"^job +count\n[- ]+\n(.*?)^total", text, re.M | re.S)
    rows = re.findall(r"^(\w+) +(\d+)$", table[1], re.M) if table else []
    return {name: int(count) for name, count in rows if name != "all"}


def shell(line: str, place: Path, path: str) -> str:
    """Return what a command says that has to end well in ``place``, with this PYTHONPATH."""
    environment = os.environ | {"PATH": f"{BIN}:{os.environ['PATH']}", "PYTHONPATH": path}
    environment["XDG_CACHE_HOME"] = str(place / "cache")
    made = subprocess.run(
        ["bash", "-c", line],
        cwd=place,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert made.returncode == 0, made.stdout + made.stderr
    return made.stdout + made.stderr
