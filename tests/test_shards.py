"""Contract: shards hold each sample once; more samples add shards and change none."""

from pathlib import Path

import pytest
from tiny_run import content

from domains.config import continued, parse_config
from domains.errors import FewstepError
from domains.protein.settings import ProteinGenerate


def plan(count: int, size: int, **more: object) -> ProteinGenerate:
    facts = {"lengths": [40], "per_length": count, "shard_size": size, **more}
    return ProteinGenerate.model_validate(facts)


@pytest.mark.parametrize("first", [1, 3, 4, 5, 8])
@pytest.mark.parametrize("counts", [(9, 20, 21), (8, 8, 16)], ids=str)
@pytest.mark.parametrize("size", [1, 3, 4, 100])
def test_more_samples_change_no_shard(first: int, counts: tuple[int, ...], size: int) -> None:
    earlier = plan(first, 4)
    for count in counts:
        later = plan(count, earlier.shard_size if count == earlier.count else size).following(
            earlier
        )
        shards = [later.shard(k) for k in range(later.shards)]
        assert [number for shard in shards for number in shard] == list(range(count))
        assert shards[: earlier.shards] == [earlier.shard(k) for k in range(earlier.shards)]
        assert max(map(len, shards[earlier.shards :]), default=0) <= size
        assert ProteinGenerate.model_validate(later.model_dump()) == later
        earlier = later


def test_whole_shards_need_no_note() -> None:
    assert plan(12, 4).following(plan(8, 4)).shard_ends == ()
    assert plan(12, 4).following(plan(6, 4)).shard_ends == (4, 6, 10, 12)


def test_fewer_samples_cut_one_shard() -> None:
    assert plan(5, 4).following(plan(12, 4, shard_ends=[2, 6, 12])).ends == (2, 5)
    assert plan(6, 4).following(plan(12, 4, shard_ends=[2, 6, 12])).ends == (2, 6)


def test_another_size_for_as_many_samples_is_meant() -> None:
    assert plan(6, 3).following(plan(6, 4)).ends == (3, 6)


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
    assert continued(large, path).generate.ends == (2, 5, 6)
    path.write_text('{"name": "of another version"}')
    assert continued(large, path) == large
