"""Trying what a page tells a reader to run, in a clone's root, with stand-ins for what is theirs.

Commands of ``fewstep`` are run on two samples, those of Snakemake and make are planned, and what
measures for minutes shows its help. A command with a word left to the reader is only parsed
(``said_commands.py``). What can't be tried has its reason here.
"""

import os
import re
import runpy
import shlex
import shutil
import sys
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from markdown_pages import ROOT, Command, commands, pages
from said_commands import faults
from snakemake_run import settings_file, shell, stand_in

from domains import cli
from domains.config import bundled_models, is_matrix, load_config, read_yaml

__all__ = ["REASONS", "attempt", "calls", "reason"]

# Why a command is not tried, by a pattern that its words match from the start.
REASONS = {
    "pip ": "it needs the network",
    "pytest ": "the suite itself",
    "python -m (domains.config.describe|studies.(reference_pages|import_graph))$": "it writes "
    "pages of the repository, which tests compare with what it would write",
    "python (setup.py|tests/hostile/fuzz)": "it needs the source or package of another project",
    ".*--report": "it needs a run's results: tests/test_module.py reports a run of its own",
    "fewstep distill --config results": "it needs a published teacher, and devices",
    "fewstep prepare .*[.]ckpt": "it needs published weights; tests/stages/test_prepare.py",
    ".*(try|first)[.]yaml": "tests/test_adding.py and tests/test_tutorial.py run these pages",
    ".*--proxy": "it needs the ProteinMPNN weights; tests/protein/metrics/designability",
}
# A file that the reader is to put there; this one is small.
EXAMPLE = "workflows/config/demo/protein_demo.yaml"
# Options that say only where, in which form or on what the same is made.
_FORM = r" --(output|cores) \S+| --json"


def calls() -> list[Command]:
    """Commands of all pages but the changelog, each once: not the mere names of some in prose."""
    found = {}
    for page in pages():
        for command in commands(page) if page.name != "CHANGELOG.md" else ():
            line = re.sub(r"--configfile (…|FILE)$", f"--configfile {EXAMPLE}", _line(command))
            command = Command(command.page, tuple(line.split(" ")), command.whole)
            if _is_call(command):
                found.setdefault(_program(command) or re.sub(_FORM, "", line), command)
    return list(found.values())


def _line(command: Command) -> str:
    return " ".join(command.words)


def _program(command: Command) -> str | None:
    """Path of a program of Python's, whose options ``said_commands.py`` looks for."""
    first, *words = command.words
    if first != "python":
        return None
    return f"{words[1].replace('.', '/')}.py" if words[0] == "-m" else words[0]


def _is_call(command: Command) -> bool:
    """Tell whether a command could be typed as it stands."""
    if any(re.search(r"…|(?<![$\w])[A-Z]{4,}", word) for word in command.words):
        return False
    program, *words = command.words
    if command.whole or program not in ("fewstep", "snakemake"):
        return True
    alone = Command(command.page, command.words, whole=True)
    if program == "fewstep":
        return len(words) > 1 and not list(faults(alone))
    return "--configfile" in words


def reason(command: Command) -> str | None:
    """Say why a command can't be tried; nothing if it can."""
    return next((why for p, why in REASONS.items() if re.match(p, _line(command))), None)


def attempt(command: Command, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Try a command in ``place``, an empty directory, and fail unless it ends well."""
    for name in (
        one.name for one in ROOT.iterdir() if one.name[0] != "." and one.name != "results"
    ):
        (place / name).symlink_to(ROOT / name)
    monkeypatch.chdir(place)
    TRIED[command.words[0]](command, place, monkeypatch)


def _ends_well(act: Callable[[], object], monkeypatch: pytest.MonkeyPatch, *words: str) -> None:
    """Run a program in this process, which has torch already."""
    monkeypatch.setattr(sys, "argv", list(words))
    try:
        act()
    except SystemExit as ended:
        assert not ended.code, f"{words}: exit code {ended.code}"


def _fewstep(command: Command, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run it on few samples; paths that are the reader's are made."""
    words = list(command.words)
    if "--number" in words:
        words[words.index("--number") + 1] = "2"
    for option, value in pairwise(words):
        if option in OWN and not (place / value).exists() and value not in bundled_models():
            OWN[option](place / value.partition("*")[0])
    if "--backbone" in words:
        pytest.importorskip("pypulchra")
    _ends_well(cli.main, monkeypatch, *words)


def _run(place: Path) -> None:
    place.mkdir(parents=True)
    (place / "config.json").write_text(load_config(settings_file(place.name)).model_dump_json())


def _student(place: Path) -> None:
    """A student, and beside it the teacher that its weights are told as a difference from."""
    shutil.copytree(bundled_models()["proteina-small-8"], place)
    shutil.copytree(bundled_models()["proteina-small"], place.with_name("proteina-small"))


def _structures(place: Path) -> None:
    """Two chains of 40 residues: what is measured grows with their square."""
    place.mkdir(parents=True)
    atoms = (ROOT / "tests/golden/mpnn/ca.pdb").read_text().splitlines()
    for first in (0, 20):
        (place / f"{first}.pdb").write_text("\n".join(atoms[first : first + 40]) + "\n")


def _scans(place: Path) -> None:
    """A wall of 4,000 points."""
    place.mkdir(parents=True)
    wall = np.random.default_rng(0).uniform([8, -6, -1.5, 0], [8.05, 6, 2, 1], (4000, 4))
    wall.astype("<f4").tofile(place / "000000.bin")


# What makes the path that follows a word of ``fewstep``.
OWN = {"--run": _run, "--model": _student, "score": _structures, "complete": _scans}


def _snakemake(command: Command, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Plan it, as a shell reads it; teachers that are the reader's are empty files."""
    words = command.words
    config = words[words.index("--configfile") + 1]
    if not (place / config).exists():
        (place / config).write_text(_settings_on_a_page(config))
    if not is_matrix(read_yaml(place / config)):
        stand_in(place / config, place)
    line = " ".join(word if "{" in word else shlex.quote(word) for word in words)
    dry = "" if "--unlock" in words else "--dry-run"
    _shell(f"{line} {dry}", place)


def _settings_on_a_page(name: str) -> str:
    """YAML of the one page that says to run a file of this name."""
    (page,) = {c.page for page in pages() for c in commands(page) if name in c.words}
    text = (ROOT / page).read_text(encoding="utf-8")
    return next(yaml for yaml in re.findall(r"```yaml\n(.*?)```", text, re.S) if "name:" in yaml)


def _make(command: Command, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _shell(shlex.join([*command.words, "--dry-run"]), place)


def _shell(line: str, place: Path) -> None:
    shell(line, place, os.environ.get("PYTHONPATH", str(ROOT)))


def _python(command: Command, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Show a program's help, or import it if it has none, where only what is beside it is found."""
    name = _program(command) or ""
    beside = place if "-m" in command.words else (place / name).parent
    clone = (place, ROOT, ROOT / "tests")
    others = [path for path in sys.path if Path(path).resolve() not in clone]
    monkeypatch.setattr(sys, "path", [str(beside), *others])
    for loaded in [one for one in sys.modules if one.split(".")[0] in ("benchmarks", "studies")]:
        monkeypatch.delitem(sys.modules, loaded)
    helps = "ArgumentParser(" in (ROOT / name).read_text(encoding="utf-8")
    run_name = "__main__" if helps else "imported"
    run = partial(runpy.run_path, str(place / name), run_name=run_name)
    _ends_well(run, monkeypatch, name, "--help")


TRIED: dict[str, Callable[[Command, Path, pytest.MonkeyPatch], None]] = {
    "fewstep": _fewstep,
    "snakemake": _snakemake,
    "make": _make,
    "python": _python,
}
