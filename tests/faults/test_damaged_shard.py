"""Contract: a shard damaged after the fact is found by checksum, and it alone is made again.

A whole shard of another set, run or seed in its place is refused, and left there.
"""

import csv
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from damage import flip, truncate
from test_workflow import snakemake
from tiny_run import write_config

from domains.errors import FewstepError
from domains.files.lock import exclusive
from domains.stages.evaluate import evaluate
from domains.stages.generate import generate

SHARDS = 4


@pytest.fixture(scope="module")
def sampled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Held-out data in four shards, laid out as the workflow does."""
    root = tmp_path_factory.mktemp("run")
    evaluation = {"novelty_shortlist": 0, "diversity": False}
    config = write_config(root / "run.yaml", generate={"shard_size": 1}, evaluate=evaluation)
    for k in range(SHARDS):
        generate(config, "data", k, root / f"results/tiny/samples/data/shard_{k:04d}")
    return root


@pytest.fixture
def run(sampled: Path, tmp_path: Path) -> Path:
    shutil.copytree(sampled, tmp_path / "run")
    return tmp_path / "run"


def files(samples: Path) -> dict[str, bytes]:
    return {str(path.relative_to(samples)): path.read_bytes() for path in samples.rglob("*.pdb")}


def test_the_workflow_samples_it_again_and_nothing_else(run: Path) -> None:
    samples = run / "results/tiny/samples/data"
    before = files(samples)
    times = {path: path.stat().st_mtime_ns for path in samples.rglob("index.csv")}
    damaged = [samples / "shard_0001", samples / "shard_0003"]
    for shard in damaged:
        flip(next(shard.glob("*.pdb")))
    target = "results/tiny/evaluation/data"
    first = snakemake(run, run / "run.yaml", target)
    assert first.returncode and "run the workflow again" in first.stdout + first.stderr
    again = snakemake(run, run / "run.yaml", target)
    assert again.returncode == 0, again.stdout + again.stderr
    assert (run / target / "set.json").exists()
    assert {k: v for k, v in files(samples).items() if ".damaged" not in k} == before
    made = {path.parent for path, time in times.items() if path.stat().st_mtime_ns != time}
    assert made == set(damaged)


DAMAGE: dict[str, Callable[[Path], object]] = {
    "flipped": lambda shard: flip(next(shard.glob("*.pdb"))),
    "cut": lambda shard: truncate(next(shard.glob("*.pdb")), 7),
    "lost": lambda shard: next(shard.glob("*.pdb")).unlink(),
    "index cut": lambda shard: truncate(shard / "index.csv", 7),
    "index flipped": lambda shard: flip(shard / "index.csv", -7),
    "no text": lambda shard: (shard / "index.csv").write_bytes(HEAD + b"\xff\x00\xfe"),
    "no row of values": lambda shard: (shard / "index.csv").write_bytes(HEAD + b"2,44\n"),
    "seconds are text": lambda shard: edit(shard, "seconds", "abc"),
    "infinite seconds": lambda shard: edit(shard, "seconds", "1e999"),
    "NaN seconds": lambda shard: edit(shard, "seconds", "nan"),
    "a sample beyond the shard": lambda shard: edit(shard, "sample", "99999"),
    "a sample of another shard": lambda shard: edit(shard, "sample", "1"),
    "a sample of 5,000 digits": lambda shard: edit(shard, "sample", "9" * 5000),
    "calls of 5,000 digits": lambda shard: edit(shard, "network_calls", "9" * 5000),
    "memory is text": lambda shard: edit(shard, "memory_gb", "much"),
    "a file elsewhere": lambda shard: edit(shard, "file", "../shard_0001/index.csv"),
    "a digit of seconds": lambda shard: edit(shard, "seconds", "0.1"),
    "a row cut at its end": lambda shard: (shard / "index.csv").write_bytes(HEAD),
    "not whose it is": lambda shard: (shard / "shard.json").unlink(),
    "a sample is a pipe": lambda shard: pipe(next(shard.glob("*.pdb"))),
}
HEAD = b"sample,length,seed,seconds,network_calls,memory_gb,file,sha256\n"


def edit(shard: Path, column: str, value: str) -> None:
    """Write another value into the table's first row."""
    with (shard / "index.csv").open(newline="") as stream:
        (header, row, *rest) = csv.reader(stream)
    row[header.index(column)] = value
    with (shard / "index.csv").open("w", newline="") as stream:
        csv.writer(stream, lineterminator="\n").writerows([header, row, *rest])


def pipe(path: Path) -> None:
    """To open it would wait for ever."""
    path.unlink()
    os.mkfifo(path)


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_damage_is_found_and_set_aside(
    run: Path, tmp_path: Path, damage: Callable[[Path], object]
) -> None:
    samples = run / "results/tiny/samples/data"
    aside = samples / "shard_0002.damaged"
    aside.mkdir()
    (aside / "older").touch()
    damage(samples / "shard_0002")
    with pytest.raises(FewstepError, match=r"shard_0002.*run the workflow again") as error:
        evaluate(run / "run.yaml", "data", samples, tmp_path / "out")
    assert len(str(error.value).splitlines()) == 1
    assert not (samples / "shard_0002").exists() and not (tmp_path / "out").exists()
    assert [path.name for path in aside.iterdir()] == ["older"]
    assert (samples / "shard_0002.damaged-2").is_dir()
    generate(run / "run.yaml", "data", 2, samples / "shard_0002")
    evaluate(run / "run.yaml", "data", samples, tmp_path / "out")
    assert len(pd.read_csv(tmp_path / "out/samples.csv")) == SHARDS


FOREIGN: dict[str, Callable[[Path], object]] = {
    "no index": lambda shard: (shard / "index.csv").unlink(),
    "index empty": lambda shard: (shard / "index.csv").write_bytes(b""),
    "index of another kind": lambda shard: (shard / "index.csv").write_text("name,size\na,1\n"),
    "index no text": lambda shard: (shard / "index.csv").write_bytes(b"\xff\x00\xfe"),
    "index is a pipe": lambda shard: pipe(shard / "index.csv"),
    "index is a directory": lambda shard: ((shard / "index.csv").unlink(),
                                           (shard / "index.csv").mkdir()),
    "a file": lambda shard: (shutil.rmtree(shard), shard.write_text("mine")),
    "a pipe": lambda shard: (shutil.rmtree(shard), os.mkfifo(shard)),
}  # fmt: skip


def everything(root: Path) -> dict[str, bytes | None]:
    return {
        str(path.relative_to(root)): path.read_bytes() if path.is_file() else None
        for path in root.rglob("*")
    }


@pytest.mark.parametrize("make", FOREIGN.values(), ids=FOREIGN)
def test_what_generate_did_not_make_is_left_as_it_is(
    run: Path, tmp_path: Path, make: Callable[[Path], object]
) -> None:
    """However often, and beside a shard that is damaged."""
    samples = run / "results/tiny/samples/data"
    flip(next((samples / "shard_0000").glob("*.pdb")))
    make(samples / "shard_0002")
    before = everything(samples)
    for _ in range(2):
        with pytest.raises(FewstepError, match="shard_0002 is no shard of samples") as error:
            evaluate(run / "run.yaml", "data", samples, tmp_path / "out")
        assert len(str(error.value).splitlines()) == 1
        assert everything(samples) == before and not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("changes", "name"),
    [({"name": "other"}, "data"), ({"seed": 4}, "data"), ({}, "decoys")],
    ids=str,
)
def test_a_shard_of_another_is_refused_and_left(
    run: Path, tmp_path: Path, changes: dict, name: str
) -> None:
    """It is as whole as ours."""
    samples, sets = run / "results/tiny/samples/data", {"decoys": {"model": "decoys"}}
    plan = {"shard_size": 1}
    other = write_config(tmp_path / "other.yaml", generate=plan, sets=sets, **changes)
    shutil.rmtree(samples / "shard_0002")
    generate(other, name, 2, samples / "shard_0002")
    before = everything(samples)
    with pytest.raises(FewstepError, match="shard_0002 is another's: expected") as error:
        evaluate(run / "run.yaml", "data", samples, tmp_path / "out")
    assert len(str(error.value).splitlines()) == 1
    assert everything(samples) == before and not (tmp_path / "out").exists()


def test_files_of_others_are_not_replaced(run: Path, tmp_path: Path) -> None:
    samples, out = run / "results/tiny/samples/data", tmp_path / "out"
    out.mkdir()
    names = ["samples.csv", "set.csv", "set.json", "gallery.json"]
    shard = tmp_path / "shard"
    shard.mkdir()
    ours = ["index.csv", "skipped.csv", "shard.json"]
    for path in (*(out / name for name in names), *(shard / name for name in ours)):
        path.write_text("mine")
    for _ in range(2):
        evaluate(run / "run.yaml", "data", samples, out)
        generate(run / "run.yaml", "data", 0, shard)
    assert {path.name for path in out.iterdir()} == {*names, *(f"{name}.other" for name in names)}
    assert all((out / f"{name}.other").read_text() == "mine" for name in names)
    assert all((shard / f"{name}.other").read_text() == "mine" for name in ours)


def test_a_shard_that_is_being_made_is_waited_for(run: Path, tmp_path: Path) -> None:
    samples = run / "results/tiny/samples/data"
    (samples / "shard_0002/index.csv").unlink()
    with exclusive(samples / "shard_0002"), pytest.raises(FewstepError, match="at work"):
        evaluate(run / "run.yaml", "data", samples, tmp_path / "out")
    assert (samples / "shard_0002").is_dir()


def test_a_shard_that_is_not_there_is_named(run: Path, tmp_path: Path) -> None:
    samples = run / "results/tiny/samples/data"
    shutil.rmtree(samples / "shard_0001")
    with pytest.raises(FewstepError, match=r"shard_0001 is incomplete.*run the workflow again"):
        evaluate(run / "run.yaml", "data", samples, tmp_path / "out")
    assert not list(samples.glob("*.damaged")) and not (tmp_path / "out").exists()


def test_many_are_named_at_once(run: Path, tmp_path: Path) -> None:
    samples = run / "results/tiny/samples/data"
    for k in range(SHARDS):
        flip(next((samples / f"shard_{k:04d}").glob("*.pdb")))
    with pytest.raises(FewstepError, match=r"shard_0000.*shard_0001.*shard_0002.*and 1 more"):
        evaluate(run / "run.yaml", "data", samples, tmp_path / "out")
    left = {path.name for path in samples.iterdir()}
    assert left == {f"shard_{k:04d}.damaged" for k in range(SHARDS)}
