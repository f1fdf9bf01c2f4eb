"""Contract: a screen keeps the same samples by one shard or several, cut or not, in little memory.

What each gate turns away is counted; what is kept lies there as structures, table and sequences.
"""

import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from protein.chains import helix, native, screw
from protein.designers import untrained_proxy
from snakemake_run import planned
from tiny_run import content, write_config

from domains.errors import FewstepError
from domains.evaluation.report.screens import panel, read_screens
from domains.evaluation.screening.sifted import FIRST
from domains.protein.files.structure import write_pdb
from domains.protein.screening import distinct, gates
from domains.stages.evaluate import evaluate
from domains.stages.generate import generate
from domains.stages.report import report
from domains.stages.screen import screen
from domains.stages.sift import sift
from domains.stages.status import status

GATES: dict[str, Any] = {"design": None, "distinct": {"tm": 0.6, "shortlist": 0}}
# Natives 0 to 5, of which 2 and 4 come again; one mirrored, one stretched.
COUNT, COPIES, BAD = 10, {6: 2, 7: 4}, {8: "right_handed", 9: "bond_fraction"}
# What differs from run to run, and from shard to shard.
OF_THE_WAY = ["shard", "geometry_seconds", "design_seconds", "sampling_seconds"]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Ten chains of another program in a directory."""
    monkeypatch.chdir(tmp_path)
    chains = [native(k, 40, 48) for k in (0, 1, 2, 4, 5, 6)]
    chains += [chains[k] + 1.0 for k in COPIES.values()]
    chains += [screw(40, -100.0) * 1.0, 1.2 * chains[0]]
    for k, chain in enumerate(chains):
        write_pdb(Path(f"theirs/{k}.pdb"), chain)
    return tmp_path


def config(place: Path, shard_size: int = 4, **gates_: Any) -> Path:
    limits = {"rg_ratio": [0, 9], "bond_fraction": 0.5}
    wanted = {"geometry": limits, **GATES, **gates_}
    settings = content(
        sets={"theirs": {"files": "theirs", "label": "Theirs"}},
        generate={"shard_size": shard_size},
        screen=wanted,
    )
    settings["sets"] = {"theirs": settings["sets"]["theirs"]}
    path = place / "run.json"
    path.write_text(json.dumps(settings))
    return path


def sifted(path: Path, out: Path, shards: int) -> None:
    for k in range(shards):
        shard = out / f"samples/shard_{k:04d}"
        if not shard.exists():
            generate(path, "theirs", k, shard)
        sift(path, "theirs", k, shard, out / f"state/{k}", out / f"sifted/shard_{k:04d}.csv")


def screened(path: Path, out: Path, shards: int = 3) -> pd.DataFrame:
    sifted(path, out, shards)
    screen(path, "theirs", out / "samples", out / "sifted", out / "state/all", out / "kept")
    return pd.read_csv(out / "kept/kept.csv")


def facts(out: Path) -> dict[str, Any]:
    return json.loads((out / "kept/screen.json").read_text())


def test_what_is_kept_and_what_is_counted(place: Path) -> None:
    kept = screened(config(place), place)
    assert list(kept["sample"]) == list(range(6))
    assert {one.name for one in (place / "kept/structures").iterdir()} == set(kept["file"])
    for row in kept.itertuples():
        made = place / "samples" / row.shard / row.file
        assert (place / "kept/structures" / row.file).read_bytes() == made.read_bytes()
    assert np.isnan(kept["nearest_kept_tm"][0]) and (kept["nearest_kept_tm"][1:] <= 0.6).all()
    assert not (place / "kept/kept.fasta").exists()
    told = facts(place)
    geometry, same = told["gates"]
    assert (geometry["seen"], geometry["passed"]) == (COUNT, COUNT - len(BAD))
    assert geometry["failed"] == dict.fromkeys(BAD.values(), 1)
    assert (same["name"], same["seen"], same["passed"]) == ("distinct", 8, 6)
    assert (told["kept"], told["samples"], told["asked"]) == (6, COUNT, COUNT)
    assert told["kept_per_hour"] is None and told["hours"] > 0
    rows = pd.concat([pd.read_csv(one) for one in sorted((place / "sifted").iterdir())])
    failed = rows.set_index("sample")["failed"].dropna()
    assert dict(failed) == BAD
    assert not list(place.glob("state/*.csv")) + list(place.glob("state/*/*.csv"))


def test_one_shard_or_several_keep_the_same(place: Path) -> None:
    several = screened(config(place, 3), place / "a", 4).drop(columns=OF_THE_WAY, errors="ignore")
    one = screened(config(place, 100), place / "b", 1).drop(columns=OF_THE_WAY, errors="ignore")
    pd.testing.assert_frame_equal(one, several)


class Cut(BaseException):
    """As if the process had been killed."""


def after(calls: int, function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function, which the process does not survive after so many calls."""
    left = [calls]

    def cut(*arguments: Any, **more: Any) -> Any:
        if not left[0]:
            raise Cut
        left[0] -= 1
        return function(*arguments, **more)

    return cut


@pytest.mark.parametrize("calls", [0, 1, 3])
def test_a_cut_sift_goes_on_where_it_was(
    place: Path, monkeypatch: pytest.MonkeyPatch, calls: int
) -> None:
    path = config(place)
    whole = screened(path, place / "whole")
    judge = gates.Geometry.judge
    with monkeypatch.context() as patch:
        patch.setattr(gates.Geometry, "judge", after(calls, judge))
        with pytest.raises(Cut):
            sifted(path, place, 3)
    assert not (place / "sifted/shard_0000.csv").exists()
    with monkeypatch.context() as patch:
        patch.setattr(gates.Geometry, "judge", after(COUNT - calls, judge))
        again = screened(path, place)
    pd.testing.assert_frame_equal(
        again.drop(columns=OF_THE_WAY, errors="ignore"),
        whole.drop(columns=OF_THE_WAY, errors="ignore"),
    )


@pytest.mark.parametrize("calls", [0, 7, 16])
def test_a_cut_screen_goes_on_where_it_was(
    place: Path, monkeypatch: pytest.MonkeyPatch, calls: int
) -> None:
    """Of the alignments none is made again but those of the sample it was at."""
    path, align = config(place), distinct.tm_align
    whole = screened(path, place / "whole")
    sifted(path, place, 3)
    options = (path, "theirs", place / "samples", place / "sifted", place / "state/all")
    with monkeypatch.context() as patch:
        patch.setattr(distinct, "tm_align", after(calls, align))
        with pytest.raises(Cut):
            screen(*options, place / "kept")
    assert not (place / "kept").exists()
    made = []
    monkeypatch.setattr(distinct, "tm_align", lambda *a, **k: made.append(1) or align(*a, **k))
    screen(*options, place / "kept")
    again = pd.read_csv(place / "kept/kept.csv")
    assert list(again["sample"]) == list(whole["sample"])
    assert list(again["nearest_kept_tm"][1:]) == list(whole["nearest_kept_tm"][1:])
    assert facts(place)["gates"][1]["passed"] == 6
    # 15 pairs of the six, and one of each copy with what it is like.
    assert 15 + 2 - calls <= len(made) <= 15 + 2 - calls + 5


def test_other_gates_begin_anew_and_leave_the_earlier_ones(place: Path) -> None:
    assert len(screened(config(place), place)) == 6
    limits = {"rg_ratio": [0, 9], "helix": [0, 0.01]}
    few = screened(config(place, geometry=limits), place)
    assert 0 < len(few) < 6 and (few["helix"] <= 0.01).all()
    assert len(pd.read_csv(place / "kept.earlier/kept.csv")) == 6


def test_designs_are_fasta(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gates, "load_proxy", lambda tools, count: untrained_proxy())
    kept = screened(config(place, design={"cross_nll": 99.0}), place)
    lines = (place / "kept/kept.fasta").read_text().splitlines()
    assert len(lines) == 2 * 2 * len(kept)
    for k, row in enumerate(kept.itertuples()):
        heads, sequences = lines[4 * k : 4 * k + 4 : 2], lines[4 * k + 1 : 4 * k + 4 : 2]
        assert heads[0].startswith(f">{Path(row.file).stem}_0 sample={row.sample} score=")
        scores = [float(head.rpartition("=")[2]) for head in heads]
        assert scores == sorted(scores)
        assert np.mean(scores) == pytest.approx(row.cross_nll, abs=1e-3)
        assert {len(one) for one in sequences} == {row.length}


def test_memory_does_not_grow_with_the_samples(place: Path) -> None:
    """Twenty times as many rows in the tables take no more memory."""
    path = config(place)
    sifted(path, place, 3)
    head, *rows = (place / "sifted/shard_0002.csv").read_text().splitlines()
    bad = next(row for row in rows if ",geometry," in row)
    peaks = []
    for count in (1_000, 20_000):
        text = "\n".join([head, *[bad] * count]) + "\n"
        (place / "sifted/shard_0002.csv").write_text(text)
        tracemalloc.start()
        out = place / f"kept_{count}"
        screen(path, "theirs", place / "samples", place / "sifted", place / "state/all", out)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert json.loads((out / "screen.json").read_text())["samples"] == 8 + count
    assert peaks[1] < peaks[0] + 300_000, peaks


def test_what_is_not_screened_is_an_error(place: Path) -> None:
    path = config(place)
    options = (place / "samples", place / "sifted", place / "state/all", place / "kept")
    with pytest.raises(FewstepError, match=r"shard_0000\.csv.*Sift the shard first"):
        screen(path, "theirs", *options)
    sifted(path, place, 3)
    table = place / "sifted/shard_0001.csv"
    whole = table.read_text()
    for wrong, words in (
        (whole.replace("geometry_seconds", "other_seconds"), "no table of this screen"),
        ("a,b\n", "no table of this screen"),
        (whole[:-9], "is damaged"),
        (whole.replace(",4.pdb,", ",../4.pdb,"), r"file can't be '\.\./4\.pdb'"),
        (whole.replace("\n4,", "\nx,"), "sample can't be 'x'"),
        (whole.rstrip() + "1.5:A;B\n", "designs can't be"),
    ):
        table.write_text(wrong)
        with pytest.raises(FewstepError, match=words):
            screen(path, "theirs", *options)
        assert not (place / "kept").exists()
    table.write_text(whole)
    (place / "kept").mkdir()
    (place / "kept/mine.txt").write_text("mine")
    with pytest.raises(FewstepError, match="something else"):
        screen(path, "theirs", *options)
    assert (place / "kept/mine.txt").read_text() == "mine"
    other = write_config(place / "other.yaml", sets={"theirs": {"files": "theirs"}})
    with pytest.raises(FewstepError, match="does not screen the set theirs"):
        screen(other, "theirs", *options)
    with pytest.raises(FewstepError, match="does not screen the set data"):
        sift(other, "data", 0, place / "samples/shard_0000", place / "s", place / "o.csv")


def test_a_damaged_shard_is_not_sifted(place: Path) -> None:
    path = config(place)
    generate(path, "theirs", 0, place / "samples/shard_0000")
    write_pdb(place / "samples/shard_0000/1.pdb", helix(40))
    with pytest.raises(FewstepError, match="is damaged"):
        sift(path, "theirs", 0, place / "samples/shard_0000", place / "s", place / "o.csv")
    assert not (place / "o.csv").exists()


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
    page = (Path(__file__).parents[2] / "docs/screen.md").read_text(encoding="utf-8")
    assert all(f"`{name}`" in page for name in FIRST)
