"""Contract: files of an evaluation that anybody has changed make a report or one line."""

import json
import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from evaluation.report_files import METRICS, write_set
from tiny_run import content

from domains.config import parse_config
from domains.errors import FewstepError
from domains.evaluation.report.build import build_report
from domains.evaluation.report.latex import latex_table
from domains.evaluation.statistics.published import rows_beside
from domains.evaluation.statistics.sets import read_set
from domains.evaluation.statistics.table import SUMMARY, read_table

DEEP = "[" * 100_000 + "]" * 100_000
WRONG: dict[str, Callable[[Path], Any]] = {
    "empty": lambda path: path.write_text(""),
    "a list": lambda path: path.write_text("[1, 2]"),
    "a number": lambda path: path.write_text("3"),
    "binary": lambda path: path.write_bytes(b"\xff\xfe\x00{"),
    "cut": lambda path: path.write_bytes(path.read_bytes()[:-9]),
    "deep": lambda path: path.write_text(DEEP),
    "deep inside": lambda path: path.write_text(f'{{"role": "student", "x": {DEEP}}}'),
    "NaN": lambda path: path.write_text('{"role": "student", "steps": NaN}'),
    "5,000 digits": lambda path: path.write_text(f'{{"role": "student", "steps": {"9" * 5000}}}'),
    "a pipe": lambda path: (path.unlink(), os.mkfifo(path)),
    "a directory": lambda path: (path.unlink(), path.mkdir()),
    "a link to itself": lambda path: (path.unlink(), path.symlink_to(path.name)),
    "a device": lambda path: (path.unlink(), path.symlink_to("/dev/zero")),
}
VALUES: tuple[Any, ...] = (
    *(None, True, -1, 0.5, 1e308, 10**400, "x", "", [], {}, [[]], [{}], [None], [1, [2]]),
    *({"a": [1]}, ["x", 1], "\0", "a" * 5000, [[1, 2, 3]], [[1e308] * 3, [-1e308] * 3]),
)


def build(directory: Path, output: Path) -> None:
    """All that reads an evaluation, as the report stage does."""
    sets = [directory / "a", directory / "b"]
    for one in sets:
        read_table(one / "set.csv", SUMMARY)
    build_report(sets, output, title="t", metrics=METRICS)
    latex_table([read_set(one) for one in sets], METRICS, "t")


@pytest.fixture
def sets(tmp_path: Path) -> Path:
    write_set(tmp_path, "a", "student")
    write_set(tmp_path, "b", "teacher", steps=100)
    build(tmp_path, tmp_path / "report.html")
    (tmp_path / "report.html").unlink()
    return tmp_path


@pytest.mark.parametrize("make", WRONG.values(), ids=WRONG)
@pytest.mark.parametrize("name", ["set.json", "gallery.json", "set.csv", "samples.csv"])
def test_a_wrong_file_is_one_line(sets: Path, name: str, make: Callable[[Path], Any]) -> None:
    make(sets / "a" / name)
    try:
        build(sets, sets / "report.html")
    except (FewstepError, OSError) as error:
        text = str(error)
        assert len(text.splitlines()) == 1 and len(text) < 1200 and name in text
        assert not (sets / "report.html").exists()
    else:  # any text is a column to pandas
        assert name == "samples.csv"


def places(content: Any, at: tuple = ()) -> Iterator[tuple]:
    """Paths of the values in a JSON document; of a long list the first two."""
    yield at
    items: Any = content.items() if isinstance(content, dict) else enumerate(content[:2])
    for key, value in items:
        if isinstance(value, dict | list):
            yield from places(value, (*at, key))
        else:
            yield (*at, key)


@pytest.mark.parametrize("name", ["set.json", "gallery.json"])
@pytest.mark.parametrize("value", VALUES, ids=lambda value: repr(value)[:20])
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_any_value_in_any_place_is_shown_or_refused(sets: Path, name: str, value: Any) -> None:
    path = sets / "a" / name
    original = json.loads(path.read_text())
    every = [at for at in places(original) if at]
    drawn = random.Random(f"{name}{value!r}"[:99]).sample(every, min(MOST, len(every)))
    for at in drawn:
        content = json.loads(json.dumps(original))
        inner = content
        for key in at[:-1]:
            inner = inner[key]
        inner[at[-1]] = value
        path.write_text(json.dumps(content))
        try:
            build(sets, sets / "report.html")
        except FewstepError as error:
            assert len(str(error).splitlines()) == 1, at
        else:
            assert "</html>" in (sets / "report.html").read_text(), at


# FEWSTEP_ALL_VALUES=1 tries more.
MOST = 12 if os.environ.get("FEWSTEP_ALL_VALUES") == "1" else 3
CELLS = ("abc", "1e999", "1e308", "-1e308", "-1", "nan", "", "9" * 5000, '"', "a,b", "\x00", "=1+1")


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: repr(cell)[:12])
@pytest.mark.parametrize("name", ["set.csv", "samples.csv"])
@pytest.mark.filterwarnings("ignore")
def test_any_cell_is_shown_or_refused(sets: Path, name: str, cell: str) -> None:
    path = sets / "a" / name
    lines = path.read_text().splitlines()
    every = range(len(lines[0].split(",")))
    for column in random.Random(name + cell).sample(every, min(MOST, len(every))):
        row = lines[1].split(",")
        row[column] = cell
        path.write_text("\n".join([lines[0], ",".join(row), *lines[2:]]) + "\n")
        try:
            build(sets, sets / "report.html")
        except FewstepError as error:
            assert len(str(error).splitlines()) == 1, column
        else:
            assert "</html>" in (sets / "report.html").read_text(), column


@pytest.mark.parametrize("make", WRONG.values(), ids=WRONG)
def test_a_wrong_teacher_is_one_line(tmp_path: Path, make: Callable[[Path], Any]) -> None:
    path, settings = tmp_path / "model.json", parse_config(content())
    path.write_text('{"format": "fewstep-model-1", "config": {}}')
    assert rows_beside(settings, [], tmp_path).empty
    make(path)
    try:
        assert isinstance(rows_beside(settings, [], tmp_path), pd.DataFrame)
    except FewstepError as error:
        assert len(str(error).splitlines()) == 1 and "model.json" in str(error)
