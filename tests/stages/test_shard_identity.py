"""Contract: a shard says of which run, set, samples, seed and model it is, and a set is of one."""

import json
from pathlib import Path

import pytest
from tiny_run import save_teacher, write_config

from domains.errors import FewstepError
from domains.files.provenance import sha256
from domains.stages.evaluate import evaluate
from domains.stages.generate import generate

CHEAP = {"novelty_shortlist": 0, "diversity": False}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Settings, and two models of one architecture."""
    place = tmp_path_factory.mktemp("place")
    write_config(place / "run.yaml", evaluate=CHEAP)
    for seed in range(2):
        save_teacher(place / f"model_{seed}", seed)
    return place


def sampled(place: Path, samples: Path, models: tuple[int, int]) -> None:
    """Sample both shards of a set, each by a model."""
    for k, model in enumerate(models):
        shard = samples / f"shard_{k:04d}"
        generate(place / "run.yaml", "naive", k, shard, place / f"model_{model}")


def test_shards_and_their_set_say_whose_they_are(place: Path, tmp_path: Path) -> None:
    sampled(place, tmp_path / "naive", (0, 0))
    evaluate(place / "run.yaml", "naive", tmp_path / "naive", tmp_path / "out")
    digest = sha256(place / "model_0/model.safetensors")
    for k in range(2):
        said = json.loads((tmp_path / f"naive/shard_{k:04d}/shard.json").read_text())
        assert (said["run"], said["set"], said["seed"]) == ("tiny", "naive", 3)
        assert said["samples"] == [2 * k, 2 * k + 2] and said["model_sha256"] == digest
    facts = json.loads((tmp_path / "out/set.json").read_text())
    assert facts["model_sha256"] == digest and facts["skipped"] == 0


def test_samples_of_two_models_are_no_set(place: Path, tmp_path: Path) -> None:
    sampled(place, tmp_path / "naive", (0, 1))
    with pytest.raises(FewstepError, match="shard_0001 is another's: expected model_sha256"):
        evaluate(place / "run.yaml", "naive", tmp_path / "naive", tmp_path / "out")


def test_what_is_not_there_is_listed(place: Path, tmp_path: Path) -> None:
    """A class with few held-out domains, or none: each sample is made or skipped."""
    config = write_config(tmp_path / "run.yaml", generate={"fold": ["4.10.1234"]}, evaluate=CHEAP)
    generate(config, "data", 0, tmp_path / "shard")
    lines = (tmp_path / "shard/skipped.csv").read_text().splitlines()
    assert lines[1:] == [f"{k},there are no held-out data for it" for k in range(2)]
