"""Contract: each command of the pages is run or planned as it stands, or has a reason why not."""

from pathlib import Path

import pytest
from markdown_pages import Command
from tried_commands import REASONS, attempt, calls, reason

CALLS = calls()


@pytest.mark.parametrize(
    "command", [one for one in CALLS if not reason(one)], ids=lambda one: " ".join(one.words)[-60:]
)
def test_a_command_ends_well(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempt(command, tmp_path, monkeypatch)


def test_every_reason_is_needed() -> None:
    given = {reason(one) for one in CALLS}
    assert given == {None, *REASONS.values()}


def test_most_commands_are_tried() -> None:
    tried = [one.words[0] for one in CALLS if not reason(one)]
    least = {"fewstep": 8, "snakemake": 7, "python": 8, "make": 4}
    assert all(tried.count(program) >= count for program, count in least.items())


@pytest.mark.parametrize(
    "line",
    [
        "fewstep prepare --source none --output made",
        "fewstep sample --length 0",
        "snakemake results/none --cores 2 --configfile workflows/config/demo/protein_demo.yaml",
        "python studies/nothing.py",
        "make nothing",
        "fewstep evaluate --config results/none/config.json",
    ],
)
def test_what_fails_is_found(line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    command = Command("page.md", tuple(line.split()), True)
    assert reason(command) is None
    with pytest.raises((AssertionError, OSError)):
        attempt(command, tmp_path, monkeypatch)
