"""Contract: no name, path or text in a config is obeyed by Snakemake or the shell.

A whole run with nasty labels and titles is in ``test_workflow``; here are names of directories.
"""

import re
from pathlib import Path

import numpy as np
import pytest
import yaml
from test_workflow import snakemake
from tiny_run import content, save_teacher

from domains.config import parse_config
from domains.errors import FewstepError
from domains.lidar.files import read_points, write_points

# What a shell, Snakemake's wildcards or its formatting would act on, all in one name.
NASTY = "-a b'\"$(touch hacked)`touch hacked`;touch hacked&|>hacked {x} {{y}} *?[a] ~ #\nü\u202e"
COMMANDS = {
    "a command": "$(touch hacked)",
    "a command in backticks": "`touch hacked`",
    "a second command": "a;touch hacked",
    "a pipe": "a|touch hacked",
    "a redirection": "a>hacked",
    "a newline": "a\ntouch hacked",
    "an option": "--help",
    "a wildcard": "{set}",
    "a pattern": "*",
    "a quote": "a'b",
    "a path": "../../a",
    "an absolute path": "/a",
    "a hidden file": ".a",
    "a space": "a b",
    "another alphabet": "пример",
    "letters that look alike": "\u0430",
    "an invisible letter": "a\u200b",
    "an empty name": "",
}


def write(path: Path, **changes: object) -> Path:
    settings = content(**changes)
    path.write_text(yaml.safe_dump(settings, allow_unicode=True), encoding="utf-8")
    return path


@pytest.mark.parametrize("name", COMMANDS.values(), ids=COMMANDS)
def test_names_are_letters_and_digits(name: str) -> None:
    """Runs, sets, students and sequences: what becomes a wildcard or a path of the workflow."""
    student = content()["students"]["student"]
    scans = {"path": "x", "train": [name], "held_out": ["0"]}
    for changes in (
        {"name": name},
        {"sets": {name: {"model": "data"}}},
        {"students": {name: student}},
        {"data": scans},
    ):
        with pytest.raises(FewstepError, match=r"config, \w+"):
            parse_config(content(**changes))


FILES = {
    "spaces": "  a  ",
    "quotes": "'a\"",
    "a newline": "a\nb",
    "a command": "$(touch hacked)`touch hacked`;touch hacked",
    "a pattern": "{x} {{y}} *?[a]",
    "an option": "--help",
    "another alphabet": "пример \u202e",
    "bytes that are no text": "a\udcff",
}


@pytest.mark.parametrize("name", FILES.values(), ids=FILES)
def test_files_of_any_name_are_read_and_named_in_one_line(tmp_path: Path, name: str) -> None:
    path = tmp_path / f"{name}.ply"
    write_points(path, np.ones((2, 3), np.float32))
    assert read_points(path).tolist() == [[1, 1, 1]] * 2
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(FewstepError) as error:
        read_points(path)
    assert len(str(error.value).splitlines()) == 1
    assert [found.name for found in tmp_path.iterdir()] == [path.name]


def test_a_run_of_a_hostile_name_is_refused_before_it_starts(tmp_path: Path) -> None:
    result = snakemake(tmp_path, write(tmp_path / "c.yaml", name="$(touch hacked)"), "--dry-run")
    said = result.stdout + result.stderr
    assert result.returncode != 0 and "Traceback" not in said
    assert re.search(r"the config, name: .* got '\$\(touch hacked\)'", said)
    assert not list(tmp_path.rglob("hacked"))


def test_hostile_directories_are_only_directories(tmp_path: Path) -> None:
    """A real job: the run lies in such a directory, and so does its teacher."""
    place = tmp_path / NASTY
    save_teacher(place / NASTY)
    config = write(place / "c.yaml", teacher=NASTY, title=NASTY, data={"path": NASTY})
    done = snakemake(place, config, "results/tiny/teacher/model.json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert {path.name for path in (place / "results/tiny/teacher").iterdir()} >= {"model.json"}
    assert not list(tmp_path.rglob("hacked"))
