"""Contract: the files that tools and other people look for are there, and true."""

import re
import sys
from pathlib import Path

import pytest
import yaml
from markdown_pages import ROOT
from snakemake.utils import min_version

from domains import __version__
from domains.distillation.objectives.registry import settings_by_kind

HOOKS = [
    hook
    for repository in yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    for hook in repository["hooks"]
]
CHANGELOG = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_the_citation_is_of_this_version() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert {"cff-version", "message", "title", "authors"} <= set(citation)
    assert citation["version"] == __version__
    # The newest version of the changelog is this one, of the same day.
    heading = re.search(r"^## \[(\d.*)\] - (\S+)$", CHANGELOG, re.M)
    assert heading and heading.groups() == (__version__, str(citation["date-released"]))


@pytest.mark.parametrize("hook", HOOKS, ids=lambda hook: hook["id"])
def test_hooks_call_what_is_installed(hook: dict) -> None:
    program = hook["entry"].split()[0]
    assert hook["language"] == "system"
    assert Path(sys.executable).with_name(program).exists()
    named = [word for word in hook["entry"].split() if word.startswith("tests/")]
    assert all((ROOT / name).is_file() for name in named)
    assert re.compile(hook.get("files", ""))


def test_the_changelog_says_what_recomputes() -> None:
    new, *versions = re.split(r"^## ", CHANGELOG, flags=re.M)[1:]
    assert new.startswith("[Unreleased]")
    entries = [new] * ("### " in new) + versions[:-1]
    assert all("**Recomputes:**" in version for version in entries)


def test_issues_ask_for_what_doctor_prints() -> None:
    form = yaml.safe_load((ROOT / ".github/ISSUE_TEMPLATE/fault.yml").read_text(encoding="utf-8"))
    labels = [part["attributes"]["label"] for part in form["body"]]
    assert any("fewstep doctor --deep --json" in label for label in labels)


def test_the_catalog_names_settings_that_are_there() -> None:
    shown = yaml.safe_load((ROOT / ".snakemake-workflow-catalog.yml").read_text(encoding="utf-8"))
    flags = shown["usage"]["mandatory-flags"]["flags"].split()
    assert flags[0] == "--configfile" and (ROOT / flags[1]).is_file()


def test_the_workflow_says_which_snakemake_it_needs() -> None:
    (least,) = re.findall(r'^min_version\("([\d.]+)"\)', (ROOT / "Snakefile").read_text(), re.M)
    min_version(least)
    assert f'"snakemake>={least}"' in (ROOT / "pyproject.toml").read_text()


def test_the_readme_counts_the_objectives() -> None:
    names = {14: "fourteen", 15: "fifteen", 16: "sixteen", 17: "seventeen", 18: "eighteen"}
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert re.findall(r"\[(\w+) objectives\]", text) == [names[len(settings_by_kind())]]


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 100
