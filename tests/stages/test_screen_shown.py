"""Contract: report, status and workflow show a run's screens; tables are as the page says."""

import json
from pathlib import Path

import numpy as np
import pytest
from snakemake_run import planned
from stages.screen_files import config, make_place, screened
from tiny_run import content

from domains.errors import FewstepError
from domains.evaluation.report.screens import panel, read_screens
from domains.evaluation.screening.sifted import FIRST
from domains.stages.evaluate import evaluate
from domains.stages.report import report
from domains.stages.status import status


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with chains to screen, in which the test works."""
    monkeypatch.chdir(tmp_path)
    return make_place(tmp_path)


def test_the_report_shows_the_funnel(place: Path) -> None:
    path = config(place)
    screened(path, place)
    (place / "kept").rename(place / "theirs_kept")
    (place / "screened").mkdir()
    (place / "theirs_kept").rename(place / "screened/theirs")
    evaluate(path, "theirs", place / "samples", place / "evaluation/theirs")
    page = place / "report.html"
    report(path, place / "evaluation", page, place / "r.csv", screened=place / "screened")
    text = page.read_text()
    assert "passed geometry" in text and "1 right_handed, 1 bond_fraction" in text
    assert "Kept an hour" in text and "Kept against hours" not in text
    file = place / "screened/theirs/screen.json"
    told = json.loads(file.read_text())
    file.write_text(json.dumps({**told, "sampling_seconds": 5, "kept_per_hour": 7.25}))
    report(path, place / "evaluation", page, place / "r.csv", screened=place / "screened")
    assert "Kept against hours" in page.read_text() and ">7.25<" in page.read_text()
    report(path, place / "evaluation", page, place / "r.csv")
    assert "passed geometry" not in page.read_text()
    for wrong in ({"curve": [[1, 2]]}, {"kept": -1}, {"gates": [1]}, {"hours": None}):
        file.write_text(json.dumps(told | wrong))
        with pytest.raises(FewstepError, match=r"screen\.json is none of a screen"):
            read_screens([place / "screened/theirs"])


def test_without_time_there_is_no_curve(tmp_path: Path) -> None:
    curve = {"curve": [[0, 0, 0]], "gates": [], "label": "<none>", "role": "files"}
    numbers = dict.fromkeys(("asked", "samples", "sampling_seconds", "kept", "hours"), 0)
    (tmp_path / "screen.json").write_text(json.dumps({**curve, **numbers, "kept_per_hour": None}))
    (one,) = read_screens([tmp_path])
    assert np.isnan(one.per_hour) and panel([one]) is None


def test_the_workflow_sifts_each_shard_and_screens_each_set(place: Path) -> None:
    """The held-out natives only where they are named."""
    settings = content(screen={"design": None}, sets={"theirs": {"files": "theirs"}})
    del settings["sets"]["student_2"]
    (place / "teacher").mkdir()
    path = place / "run.json"
    path.write_text(json.dumps(settings))
    jobs = planned(place, path)
    assert (jobs["sift"], jobs["screen"]) == (2 + 5, 2)
    assert "fetch" not in jobs
    settings["screen"] = {"sets": ["data"]}
    path.write_text(json.dumps(settings))
    jobs = planned(place, path)
    assert (jobs["sift"], jobs["screen"], jobs["fetch"]) == (2, 1, 1)


def test_the_status_shows_gates(place: Path, capsys: pytest.CaptureFixture) -> None:
    run = place / "results/x"
    run.mkdir(parents=True)
    config(place).rename(run / "config.json")
    table = run / "screening/theirs/sifted/shard_0001.csv"
    table.parent.mkdir(parents=True)
    table.touch()
    status(run, json=True)
    stages = json.loads(capsys.readouterr().out)["stages"]
    rows = {row["stage"]: row for row in stages}
    assert rows["sift"]["parts"] == {"waiting": 2, "done": 1}
    assert rows["screen"]["state"] == "waiting"


def test_tables_begin_as_the_page_says() -> None:
    page = (Path(__file__).parents[2] / "docs/how_to/screen.md").read_text(encoding="utf-8")
    assert all(f"`{name}`" in page for name in FIRST)
