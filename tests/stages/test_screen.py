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
from protein.chains import helix
from protein.designers import untrained_proxy
from stages.screen_files import BAD, COUNT, OF_THE_WAY, config, facts, make_place, screened, sifted
from tiny_run import write_config

from domains.errors import FewstepError
from domains.protein.files.structure import write_pdb
from domains.protein.screening import distinct, gates
from domains.stages.generate import generate
from domains.stages.screen import screen
from domains.stages.sift import sift


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with chains to screen, in which the test works."""
    monkeypatch.chdir(tmp_path)
    return make_place(tmp_path)


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
    with pytest.raises(FewstepError, match="is incomplete or damaged"):
        sift(path, "theirs", 0, place / "samples/shard_0000", place / "s", place / "o.csv")
    assert not (place / "o.csv").exists()
