"""Contract: a searched sampler is the best of what was tried, and a set is sampled with it."""

import json
import math
from pathlib import Path

import pytest
from protein.designers import untrained_proxy
from tiny_run import LIDAR_NETWORK, content, save_teacher, simulate_streets, write_config

from domains.config import parse_config
from domains.distillation.sampling.candidates import drawn, usual
from domains.distillation.sampling.rescale import Rescale
from domains.distillation.sampling.settings import Renoise
from domains.distillation.sampling.tuned import Tuned
from domains.errors import FewstepError
from domains.field import load_field
from domains.lidar.settings import LidarGenerate, LidarPretrain
from domains.protein.metrics.designability.proxy import Proxy
from domains.stages.generate import generate
from domains.stages.shard_index import read_index
from domains.stages.tune import read_sampler, tune

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


def test_a_solver_is_learned_judged_and_sampled_with(place: Path, tmp_path: Path) -> None:
    learn = {"updates": 12, "batch_size": 2, "teacher_steps": 6}
    sampler = {**TUNED["sampler"], "learn": learn}
    config = write_config(tmp_path / "run.yaml", sets={"tuned": {**TUNED, "sampler": sampler}})
    tune(config, "tuned", place / "teacher", tmp_path / "tuned.json")
    found = json.loads((tmp_path / "tuned.json").read_text())
    # The two usual samplers, the plain ODE, and what was learned.
    tried = [row["sampler"] for row in found["tried"]]
    assert [one["eta"] for one in tried] == [1.0, 1.0, 0.0, 0.0]
    assert len(tried[-1]["correction"]["kept"]) == 2 and "correction" not in tried[2]
    assert tried[-1]["times"] != tried[2]["times"]
    assert found["learned"]["distance_after"] > 0 and len(found["finalists"]) == 4
    # Whichever is the best, what was learned is a sampler as any other.
    plain = {"plain": {"model": "teacher", "sampler": tried[-1]}}
    other = write_config(tmp_path / "plain.yaml", sets=plain)
    generate(other, "plain", 0, tmp_path / "a", place / "teacher")
    assert len(read_index(tmp_path / "a")) == 2


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
    found = drawn(Tuned(kind="tuned", steps=steps, trials=200), [], 0)
    assert all(isinstance(one, Renoise) and len(one.times) == steps for one in found)
    assert len({one.model_dump_json() for one in found}) == 200
    assert {one.eta == 1.0 for one in found} == {True, False}


COLD = {"rescale": {"sharpness": [2, 8], "spread": [0.5, 2]}, "self_conditioning": True}


def test_the_search_of_k_and_s_stays_in_its_ranges() -> None:
    wanted = Tuned(kind="tuned", steps=2, trials=200, **COLD)
    found = drawn(wanted, [0.3, 0.99], 0)
    assert all(one.is_deterministic and one.noise_scales == [1, 1] for one in found)
    assert all(one.self_conditioning for one in found)
    drawn_pairs = {(one.rescale.sharpness, one.rescale.spread) for one in found if one.rescale}
    assert len(drawn_pairs) == 200
    sharpness, spread = zip(*drawn_pairs, strict=True)
    assert 2 <= min(sharpness) < 2.2 and 7.5 < max(sharpness) <= 8
    assert 0.5 <= min(spread) < 0.55 and 1.9 < max(spread) <= 2
    own = sum(one.times == (0.3, 0.99) for one in found)
    assert 70 < own < 130, "half of them have the field's own times"
    assert all(one.times[-1] > 0.96 for one in found)


def test_k_and_s_are_tried_against_the_plain_ode_and_the_middle_of_the_ranges() -> None:
    plain, middle = usual(Tuned(kind="tuned", steps=2, **COLD), [0.3, 0.99])
    assert plain.is_deterministic and plain.rescale is None
    assert middle.rescale == Rescale(sharpness=4, spread=1)


@pytest.mark.parametrize("wrong", [{"spread": [2, 1]}, {"sharpness": [0, 1]}], ids=str)
def test_ranges_that_hold_nothing_are_refused(wrong: dict) -> None:
    sets = {"tuned": {**TUNED, "sampler": {**TUNED["sampler"], "rescale": wrong}}}
    with pytest.raises(FewstepError, match="rescale"):
        parse_config(content(sets=sets))


def test_a_set_is_sampled_with_k_and_s_that_were_judged_by_natives(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def proxy(tools: Path, count: int) -> Proxy:
        asked.append((tools, count))
        return untrained_proxy()

    monkeypatch.setattr("domains.protein.field.load_proxy", proxy)
    sampler = {**TUNED["sampler"], **COLD, "judge": "natives"}
    config = write_config(tmp_path / "run.yaml", sets={"cold": {**TUNED, "sampler": sampler}})
    found, teacher = tmp_path / "cold.json", place / "teacher"
    tune(config, "cold", teacher, found, tools=tmp_path / "weights")
    assert [tools for tools, _ in asked] == [tmp_path / "weights"], "loaded once"
    written = json.loads(found.read_text())
    assert all(
        {"quality", "distance", "cross_nll", "helix"} <= set(row) for row in written["tried"]
    )
    assert written["quality"] == max(row["quality"] for row in written["finalists"])
    generate(config, "cold", 0, tmp_path / "a", teacher, sampler=found)
    plain = {"plain": {"model": "teacher", "sampler": read_sampler(found).model_dump()}}
    other = write_config(tmp_path / "plain.yaml", sets=plain)
    generate(other, "plain", 0, tmp_path / "b", teacher)
    assert list(read_index(tmp_path / "a")["sha256"]) == list(read_index(tmp_path / "b")["sha256"])


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
    settings = {
        "name": "scans",
        "domain": "lidar",
        "teacher": "lidiff-mini",
        "data": {"scans": "scans"},
        "generate": {"scenes": 2},
        "sets": {"tuned": TUNED},
    }
    with pytest.raises(FewstepError, match="tune"):
        parse_config(settings)


@pytest.mark.parametrize(
    "setting", [{"judge": "natives"}, {"self_conditioning": True}], ids=["judge", "told"]
)
def test_what_only_proteins_have_is_refused_for_lidar(setting: dict) -> None:
    settings = {
        "name": "streets",
        "domain": "lidar",
        "teacher": "lidiff-mini",
        "data": {"simulate": {"train": 1, "held_out": 1}},
        "generate": {"scenes": 2},
        "sets": {"tuned": {**TUNED, "sampler": {**TUNED["sampler"], **setting}}},
    }
    with pytest.raises(FewstepError, match=next(iter(setting))):
        parse_config(settings)


def test_its_noise_scale_is_not_known_before() -> None:
    assert math.isnan(Tuned(kind="tuned").noise_scale)
