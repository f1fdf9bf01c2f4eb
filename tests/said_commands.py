"""Whether a command that a page tells a reader to run can be: parsed, and nothing started."""

import re
import tomllib
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr
from io import StringIO
from pathlib import Path

import typer.main
from markdown_pages import ROOT, Command
from snakemake.cli import get_argument_parser

from domains import cli

__all__ = ["faults"]

FEWSTEP = typer.main.get_command(cli.app)
# What stands for a word of the reader's.
PLACEHOLDER = re.compile(r"…|\.\.\.|^[A-Z]+$")
TARGETS = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.M))
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]


def faults(command: Command) -> Iterator[str]:
    """Say what of a command can't be."""
    program, *words = command.words
    if words and not PLACEHOLDER.search(words[0]):
        yield from CHECKS.get(program, _nothing)(words, command)
    for word in words:
        for path in re.findall(r"(?:workflows|envs)/[\w./-]+", word):
            if not (ROOT / path.rstrip(".")).exists():
                yield f"no such file: {path}"


def _nothing(words: list[str], command: Command) -> Iterator[str]:
    yield from ()


def _fewstep(words: list[str], command: Command) -> Iterator[str]:
    """Check a command of ours by its own parser; in prose it need not be whole."""
    while words and words[0].startswith("-") and words[0] != "--help":
        words = words[1:]
    if not words or words == ["--help"]:
        return
    name, *rest = words
    commands = FEWSTEP.commands  # type: ignore[attr-defined]
    if name not in commands:
        yield f"fewstep has no command {name}"
        return
    known = {option for one in commands[name].params for option in one.opts}
    known |= {f"--no-{option[2:]}" for option in known} | {"--help"}
    for word in rest:
        if word.startswith("--") and word.partition("=")[0] not in known:
            yield f"fewstep {name} has no option {word}"
    if command.whole and not any(map(PLACEHOLDER.search, rest)):
        try:
            commands[name].make_context(name, list(rest))
        except Exception as error:
            yield f"fewstep {name}: {error}"


def _snakemake(words: list[str], command: Command) -> Iterator[str]:
    """Check a call of Snakemake by its own parser."""
    if any(word == "…" for word in words):
        words = [word for word in words if word != "…"]
        words = words[:-1] if words and words[-1] == "--configfile" else words
    said = StringIO()
    try:
        with redirect_stderr(said):
            given = get_argument_parser().parse_args(words)
    except SystemExit:
        yield said.getvalue().strip().splitlines()[-1]
        return
    for one in given.configfile or ():
        if Path(one).suffix != ".yaml" and not PLACEHOLDER.search(str(one)):
            yield f"{one} would be read as settings: a target stands before --configfile"


def _make(words: list[str], command: Command) -> Iterator[str]:
    for word in words:
        if "=" not in word and word not in TARGETS:
            yield f"the Makefile has no target {word}"


def _python(words: list[str], command: Command) -> Iterator[str]:
    """Check that a program of ours is there and knows the options; others are not ours."""
    name = f"{words[1].replace('.', '/')}.py" if words[0] == "-m" else words[0]
    options = words[2:] if words[0] == "-m" else words[1:]
    if not name.startswith(("domains/", "studies/", "benchmarks/", "tests/")):
        return
    path = ROOT / name
    if not path.is_file():
        yield f"no such program: {name}"
        return
    source = path.read_text(encoding="utf-8")
    for option in options:
        if re.fullmatch(r"--[a-z-]+", option) and f'"{option}"' not in source:
            yield f"{name} has no option {option}"


def _pip(words: list[str], command: Command) -> Iterator[str]:
    """Check that the extras are there, and that a clone is installed in place."""
    for word in words:
        for extra in re.findall(r"(?:^|fewstep)\.?\[([\w,]+)\]", word):
            for one in extra.split(","):
                if one not in EXTRAS:
                    yield f"no such extra: {one}"
        if re.match(r"\.(\[|$)", word) and "-e" not in words:
            yield f"pip install {word} replaces the installation in place: write -e"


def _pytest(words: list[str], command: Command) -> Iterator[str]:
    for word in words:
        if word.startswith("tests/") and not (ROOT / word.partition("::")[0]).exists():
            yield f"no such test: {word}"


CHECKS: dict[str, Callable[[list[str], Command], Iterator[str]]] = {
    "fewstep": _fewstep,
    "snakemake": _snakemake,
    "make": _make,
    "python": _python,
    "pip": _pip,
    "pytest": _pytest,
}
