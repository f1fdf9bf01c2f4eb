"""Contract: shards hold each sample once; more samples add shards and change none."""

from pathlib import Path

import pytest
from tiny_run import content

from domains.config import continued, parse_config
from domains.errors import FewstepError
from domains.protein.settings import ProteinGenerate

CALLS = (2, 8, 400)


def plan(count: int, size: int, **more: object) -> ProteinGenerate:
    facts = {"lengths": [40], "per_length": count, "shard_size": size, **more}
    return ProteinGenerate.model_validate(facts)


def followed(later: ProteinGenerate, earlier: ProteinGenerate, resized: bool) -> ProteinGenerate:
    ends = later.following(earlier, resized)
    return ProteinGenerate.model_validate({**later.model_dump(), "shard_ends": ends})


@pytest.mark.parametrize("first", [1, 3, 4, 5, 8])
@pytest.mark.parametrize("counts", [(9, 20, 21), (8, 8, 16)], ids=str)
@pytest.mark.parametrize("size", [1, 3, 4, 100])
def test_more_samples_change_no_shard(first: int, counts: tuple[int, ...], size: int) -> None:
    earlier = plan(first, 4)
    for count in counts:
        later = plan(count, earlier.shard_size if count == earlier.count else size)
        later = followed(later, earlier, resized=True)
        shards = [later.shard(k) for k in range(later.shards)]
        assert [number for shard in shards for number in shard] == list(range(count))
        assert shards[: earlier.shards] == [earlier.shard(k) for k in range(earlier.shards)]
        assert max(map(len, shards[earlier.shards :]), default=0) <= size
        earlier = later


def test_new_shards_begin_where_the_last_ended() -> None:
    assert plan(12, 4).following(plan(8, 4), True) == ()
    assert plan(12, 4).following(plan(6, 4), True) == (4, 6, 10, 12)


def test_fewer_samples_cut_one_shard() -> None:
    earlier = plan(12, 4, shard_ends=[2, 6, 12])
    assert plan(5, 4).following(earlier, True) == (2, 5)
    assert plan(6, 4).following(earlier, True) == (2, 6)


def test_another_size_for_as_many_samples_is_meant() -> None:
    assert followed(plan(6, 3), plan(6, 4), resized=True).ends == (3, 6)
    assert followed(plan(6, 3), plan(6, 4), resized=False).ends == (4, 6)


@pytest.mark.parametrize("ends", [[2, 5], [2, 7], [4, 2, 6], [2, 2, 6], [0, 6]])
def test_ends_rise_to_the_count(ends: list[int]) -> None:
    with pytest.raises(FewstepError, match="shard_ends"):
        parse_config(content(generate={"lengths": [40], "per_length": 6, "shard_ends": ends}))


def test_a_run_goes_on_from_its_last_settings(tmp_path: Path) -> None:
    """None yet, or of another version, is no earlier run."""
    path = tmp_path / "config.json"
    small = parse_config(content(generate={"per_length": 1, "shard_size": 3}))
    large = parse_config(content(generate={"per_length": 3, "shard_size": 3}))
    assert continued(large, path) == large
    path.write_text(small.model_dump_json())
    again = continued(large, path)
    assert again.plan("student_2").ends == (2, 5, 6)
    path.write_text(again.model_dump_json())
    assert continued(large, path) == again
    path.write_text('{"name": "of another version"}')
    assert continued(large, path) == large


def test_a_set_of_many_calls_has_smaller_shards() -> None:
    """As many samples as take a core some two minutes; at least 64."""
    plans = {"lengths": [50, 70], "per_length": 10_000, "shard_size": None}
    sampler = {"kind": "renoise", "noise_scale": 0.45}
    sets = {f"few_{k}": {"model": "teacher", "sampler": {**sampler, "steps": k}} for k in CALLS}
    run = parse_config(content(generate=plans, sets=sets))
    sizes = [run.plan(f"few_{k}").shard_size for k in CALLS]
    assert sizes == [2500, 625, 64]


def test_a_run_of_an_older_version_keeps_its_shards(tmp_path: Path) -> None:
    """Its size was the default, 64, and its ends were those of all sets."""
    path = tmp_path / "config.json"
    plans: dict[str, object] = {"lengths": [50], "per_length": 200}
    older = parse_config(content(generate={**plans, "shard_size": 64}))
    path.write_text(older.model_dump_json(exclude={"generate": {"shard_ends_of"}}))
    same = continued(parse_config(content(generate={**plans, "shard_size": None})), path)
    assert same.plan("student_2").ends == (64, 128, 192, 200)
    more = {**plans, "per_length": 5000, "shard_size": None}
    grown = continued(parse_config(content(generate=more)), path)
    assert grown.plan("student_2").ends[:5] == (64, 128, 192, 200, 200 + 3000)


def test_a_size_that_is_asked_for_is_had(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    plans: dict[str, object] = {"lengths": [50], "per_length": 200}
    path.write_text(parse_config(content(generate=plans)).model_dump_json())
    sized = parse_config(content(generate={**plans, "shard_size": 150}))
    assert continued(sized, path).plan("student_2").ends == (150, 200)
