"""Contract: links lead somewhere, each page is found from the navigation, commands can be run."""

import importlib.util
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from markdown_pages import ROOT, Command, broken_links, commands, pages
from said_commands import faults

from studies.reference_pages import PLACES

DOCS = ROOT / "docs"
NAVIGATION = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))["nav"]
COMMANDS = [command for page in pages() for command in commands(page)]


def navigated(entries: list[Any]) -> Iterator[str]:
    """Pages of the navigation, at any depth."""
    for entry in entries:
        for value in entry.values():
            if isinstance(value, str):
                yield value
            else:
                yield from navigated(value)


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    assert list(broken_links(page)) == []


def test_broken_links_are_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# A *b*, `c`\n[a](page.md#a-b-c) [b](https://x.org) [c](none.md) [d](#nothing)\n"
        "```\n[e](no-link.md)\n```\n"
    )
    assert [fault.partition(":")[0] for fault in broken_links(page)] == ["none.md", "#nothing"]


def test_every_page_is_in_the_navigation_once() -> None:
    named = list(navigated(NAVIGATION))
    there = {page.relative_to(DOCS).as_posix() for page in pages() if page.is_relative_to(DOCS)}
    assert sorted(named) == sorted(there)


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.name)
def test_generated_pages_are_in_step(place: Path) -> None:
    written = (ROOT / place).read_text(encoding="utf-8")
    assert written == PLACES[place](), "run `python -m studies.reference_pages`"


def test_commands_can_be_run() -> None:
    """Their options are parsed, and the files of the repository that they name are there."""
    found = [f"{one.page}: {' '.join(one.words)}: {f}" for one in COMMANDS for f in faults(one)]
    assert found == []


def test_commands_are_found() -> None:
    programs = [command.words[0] for command in COMMANDS if command.whole]
    assert programs.count("fewstep") > 10 and programs.count("snakemake") > 7


@pytest.mark.parametrize(
    "line",
    [
        "fewstep distil --config x",
        "fewstep sample --size 3",
        "fewstep distill --config run.yaml",
        "fewstep sample --length long",
        "snakemake --cores 2 --configfiles-of x",
        "snakemake --configfile workflows/config/protein.yaml",
        "snakemake --cores 1 --configfile mine.yaml results/mine/report.html",
        "make report",
        "python -m studies.nothing",
        "python benchmarks/dag_overhead.py results --core 2",
        "pip install -e '.[everything]'",
        "pip install .[slurm]",
        "pytest tests/test_nothing.py",
    ],
)
def test_commands_that_fail_are_found(line: str) -> None:
    words = tuple(line.replace("'", "").split())
    assert list(faults(Command("page.md", words, True)))


@pytest.mark.skipif(not importlib.util.find_spec("material"), reason="the extra docs is missing")
def test_the_site_is_built(tmp_path: Path) -> None:
    """Strictly: MkDocs itself finds no broken link, and no page outside the navigation."""
    command = [Path(sys.executable).with_name("mkdocs"), "build", "--site-dir", tmp_path / "site"]
    made = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert made.returncode == 0, made.stdout + made.stderr
    page = (tmp_path / "site/reference/python.html").read_text(encoding="utf-8")
    assert re.search(r"student_loss", page)
    assert (tmp_path / "site/repository/workflows/config/paper/protein_sid.yaml").is_file()
