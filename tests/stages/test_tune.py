"""Contract: a searched sampler is the best of what was tried, and a set is sampled with it."""

import json
import math
from pathlib import Path

import pytest
from tiny_run import LIDAR_NETWORK, save_teacher, simulate_streets, write_config

from domains.config import parse_config
from domains.distillation.sampling.settings import Renoise, Tuned
from domains.errors import FewstepError
from domains.field import load_field
from domains.lidar.settings import LidarGenerate, LidarPretrain
from domains.stages.generate import generate
from domains.stages.shard_index import read_index
from domains.stages.tune import _drawn, read_sampler, tune

TUNED = {"model": "teacher", "sampler": {"kind": "tuned", "steps": 3, "trials": 4, "samples": 4}}


def configured(place: Path, **changes) -> Path:
    return write_config(place / "run.yaml", sets={"tuned": TUNED}, **changes)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("tune")
    save_teacher(directory / "teacher")
    configured(directory)
    tune(directory / "run.yaml", "tuned", directory / "teacher", directory / "tuned.json")
    return directory


def test_the_best_of_the_second_round_is_taken(place: Path) -> None:
    found = json.loads((place / "tuned.json").read_text())
    # Two usual samplers and all drawn ones; then those two and the best.
    assert len(found["tried"]) == 6 and len(found["finalists"]) == 6
    assert found["quality"] == max(row["quality"] for row in found["finalists"])
    winner = next(row for row in found["finalists"] if row["quality"] == found["quality"])
    assert winner["sampler"] == found["sampler"]
    assert read_sampler(place / "tuned.json").steps == 3
    assert [row["sampler"]["noise_scale"] for row in found["tried"][:2]] == [0.45, 1.0]


def test_rounds_have_samples_of_their_own(place: Path) -> None:
    found = json.loads((place / "tuned.json").read_text())
    first, second = found["tried"][0], found["finalists"][0]
    assert first["sampler"] == second["sampler"] and first["quality"] != second["quality"]


def test_it_repeats_exactly(place: Path, tmp_path: Path) -> None:
    tune(place / "run.yaml", "tuned", place / "teacher", tmp_path / "again.json")
    assert (tmp_path / "again.json").read_bytes() == (place / "tuned.json").read_bytes()


def test_a_set_is_sampled_with_what_was_found(place: Path, tmp_path: Path) -> None:
    teacher, found = place / "teacher", place / "tuned.json"
    generate(place / "run.yaml", "tuned", 0, tmp_path / "a", teacher, sampler=found)
    # The same sampler written out makes the same samples.
    sampler = read_sampler(found).model_dump()
    plain = {"plain": {"model": "teacher", "sampler": sampler}}
    other = write_config(tmp_path / "plain.yaml", sets=plain)
    generate(other, "plain", 0, tmp_path / "b", teacher)
    assert list(read_index(tmp_path / "a")["sha256"]) == list(read_index(tmp_path / "b")["sha256"])


def test_a_tuned_set_needs_the_search_first(place: Path, tmp_path: Path) -> None:
    with pytest.raises(FewstepError, match="tuned"):
        generate(place / "run.yaml", "tuned", 0, tmp_path / "a", place / "teacher")
    assert not (tmp_path / "a" / "index.csv").exists()


DEEP = '{"sampler": ' + "[" * 100_000 + "]" * 100_000 + "}"


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"sampler": {"kind": "sde"}}', "{", DEEP], ids=range(6)
)
def test_another_file_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "tuned.json").write_text(content)
    with pytest.raises(FewstepError, match=r"tuned\.json"):
        read_sampler(tmp_path / "tuned.json")


def test_another_set_is_refused(place: Path, tmp_path: Path) -> None:
    other = write_config(tmp_path / "run.yaml", sets={"plain": {"model": "teacher"}})
    with pytest.raises(FewstepError, match="not tuned"):
        tune(other, "plain", place / "teacher", tmp_path / "tuned.json")


@pytest.mark.parametrize("steps", [1, 2, 64])
def test_drawn_samplers_differ_and_are_samplers(steps: int) -> None:
    drawn = _drawn(Tuned(kind="tuned", steps=steps, trials=200), 0)
    assert all(isinstance(one, Renoise) and len(one.times) == steps for one in drawn)
    assert len({one.model_dump_json() for one in drawn}) == 200
    assert {one.eta == 1.0 for one in drawn} == {True, False}


def test_samples_that_are_not_finite_are_never_chosen(place, tmp_path, monkeypatch) -> None:
    from domains.stages.sampling import Sampling

    plain = Sampling.samples

    def samples(self, asked):
        if self.sample_set.sampler.noise_scale != 1.0:
            raise FewstepError("sampling ended in NaN")
        return plain(self, asked)

    monkeypatch.setattr(Sampling, "samples", samples)
    tune(place / "run.yaml", "tuned", place / "teacher", tmp_path / "tuned.json")
    found = json.loads((tmp_path / "tuned.json").read_text())
    assert found["sampler"]["noise_scale"] == 1.0
    assert found["tried"][0]["quality"] is None and "NaN" in found["tried"][0]["reason"]

    monkeypatch.setattr(Sampling, "samples", lambda self, asked: 1 / 0)
    with pytest.raises(ZeroDivisionError):  # a fault of the program is no bad schedule
        tune(place / "run.yaml", "tuned", place / "teacher", tmp_path / "none.json")


def test_lidar_is_tuned_on_training_scenes(tmp_path: Path, monkeypatch) -> None:
    data = simulate_streets(tmp_path / "streets")
    domain = load_field("lidar").with_data(data)
    config = LidarPretrain.model_validate({"network": LIDAR_NETWORK, "fit": {"steps": 1}})
    network = domain.new(config, 0).eval()
    plan = LidarGenerate(scenes=2, shard_size=2)
    asked = domain.tuning_requests(plan, 2, network, 5)
    held_out = domain.requests(plan, [0, 1], network, 5)
    assert len(asked) == 2
    assert not {one.name for one in asked} & {getattr(one, "name", "") for one in held_out}


def test_scans_alone_can_t_be_tuned_on() -> None:
    content = {
        "name": "scans",
        "domain": "lidar",
        "teacher": "lidiff-mini",
        "data": {"scans": "scans"},
        "generate": {"scenes": 2},
        "sets": {"tuned": TUNED},
    }
    with pytest.raises(FewstepError, match="tune"):
        parse_config(content)


def test_its_noise_scale_is_not_known_before() -> None:
    assert math.isnan(Tuned(kind="tuned").noise_scale)
