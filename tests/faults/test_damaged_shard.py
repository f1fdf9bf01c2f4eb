"""Contract: a shard damaged after the fact is found by checksum, and it alone is made again."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from test_workflow import snakemake
from tiny_run import write_config

from domains.errors import FewstepError
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


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-7] ^= 1
    path.write_bytes(bytes(content))


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-7])


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


DAMAGE: dict[str, Callable[[Path], None]] = {
    "flipped": lambda shard: flip(next(shard.glob("*.pdb"))),
    "cut": lambda shard: cut(next(shard.glob("*.pdb"))),
    "lost": lambda shard: next(shard.glob("*.pdb")).unlink(),
    "no index": lambda shard: (shard / "index.csv").unlink(),
    "index cut": lambda shard: cut(shard / "index.csv"),
    "index empty": lambda shard: (shard / "index.csv").write_bytes(b""),
    "index no text": lambda shard: (shard / "index.csv").write_bytes(b"\xff\x00\xfe"),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_damage_is_found_and_set_aside(
    run: Path, tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    samples = run / "results/tiny/samples/data"
    aside = samples / "shard_0002.damaged"
    aside.mkdir()
    (aside / "older").touch()
    damage(samples / "shard_0002")
    with pytest.raises(FewstepError, match=r"shard_0002.*run the workflow again") as error:
        evaluate(run / "run.yaml", "data", samples, tmp_path / "out")
    assert len(str(error.value).splitlines()) == 1
    assert not (samples / "shard_0002").exists() and not (aside / "older").exists()
    assert aside.exists() and not (tmp_path / "out").exists()
    generate(run / "run.yaml", "data", 2, samples / "shard_0002")
    evaluate(run / "run.yaml", "data", samples, tmp_path / "out")
    assert len(pd.read_csv(tmp_path / "out/samples.csv")) == SHARDS


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
    assert not [path for path in samples.iterdir() if path.suffix != ".damaged"]
