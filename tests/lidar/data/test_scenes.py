"""Contract: training, validation and held-out scenes come from sequences of their own.

A number or a name always means the same scene; one damaged scan costs that scan only.
"""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_run import LIDAR_NETWORK

from domains.batch import Request
from domains.errors import FewstepError
from domains.lidar.data.scenes import Scenes, batch_of
from domains.lidar.files import write_points
from domains.lidar.network.config import NetworkConfig
from domains.lidar.points import PointConfig
from domains.lidar.settings import SCAN_SUFFIXES, LidarData

CONFIG = NetworkConfig.parse(LIDAR_NETWORK, "tests")
Copy = Callable[..., LidarData]


@pytest.fixture(scope="module")
def scenes(tiny_streets: LidarData) -> Scenes:
    return Scenes(tiny_streets)


@pytest.fixture
def copy(tiny_streets: LidarData, tmp_path: Path) -> Copy:
    """Copies some of the sequences, without their maps."""

    def copied(*names: str) -> LidarData:
        leave = shutil.ignore_patterns("map*")
        for name in (f"sequences/{one}" for one in names):
            shutil.copytree(Path(str(tiny_streets.path)) / name, tmp_path / name, ignore=leave)
        return tiny_streets.model_copy(update={"path": str(tmp_path)})

    return copied


def held_out(scenes: Scenes, *numbers: int, seed: int = 0) -> list[Request]:
    found = scenes.held_out(CONFIG, numbers, seed)
    assert all(isinstance(one, Request) for one in found)
    return found  # type: ignore[return-value]


def assert_same(found: Request, expected: Request) -> None:
    assert found.name == expected.name
    assert torch.equal(found.condition["partial"], expected.condition["partial"])
    for ours, theirs in ((found.origin, expected.origin), (found.truth, expected.truth)):
        assert ours is not None and theirs is not None and torch.equal(ours, theirs)


# Where scenes come from


def test_each_use_has_its_own_sequences(scenes: Scenes) -> None:
    student, validated = scenes.training(CONFIG, range(6)), scenes.validation(CONFIG, 3)
    for found, sequences in (
        (student, scenes.data.train[:-1]),
        (validated, scenes.data.train[-1:]),
        (held_out(scenes, 0, 1), scenes.data.held_out),
    ):
        assert {one.name.rpartition("_")[0] for one in found} == set(sequences)


def test_training_never_opens_what_is_held_out(copy: Copy, tiny_streets: LidarData) -> None:
    scenes = Scenes(copy(*tiny_streets.train))
    assert scenes.training_batch(CONFIG, 2, 0, 0).shape == (2, CONFIG.points, 3)
    assert len(scenes.training(CONFIG, [0])) == len(scenes.validation(CONFIG, 1)) == 1
    with pytest.raises(FewstepError, match="500"):
        scenes.held_out(CONFIG, [0], 0)


def test_sampling_never_opens_what_is_trained_on(copy: Copy, tiny_streets: LidarData) -> None:
    scenes = Scenes(copy(*tiny_streets.held_out))
    [request] = held_out(scenes, 0)
    assert scenes.whole([0], 0)[0].name == scenes.by_name([request.name])[0].name
    with pytest.raises(FewstepError, match="000"):
        scenes.training(CONFIG, [0])


def test_data_without_sequences_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(FewstepError, match=r"no sequences in .*Set data\.path") as error:
        Scenes(LidarData(path=str(tmp_path))).held_out(CONFIG, [0], 0)
    assert "\n" not in str(error.value)


# Which scene a number means


def test_a_number_always_means_the_same_scene(scenes: Scenes) -> None:
    both = held_out(scenes, 0, 1)
    assert_same(held_out(Scenes(scenes.data), 1)[0], both[1])
    assert both[0].name != both[1].name
    orders = [[one.name for one in held_out(scenes, 0, 1, seed=seed)] for seed in range(8)]
    assert orders[0] in orders[1:] and orders[0][::-1] in orders


def test_number_and_name_give_the_same_whole_scene(scenes: Scenes) -> None:
    for number, scene in scenes.whole([0, 1], 3).items():
        [request] = held_out(scenes, number, seed=3)
        [named] = scenes.by_name([request.name])
        assert scene.name == named.name == request.name
        np.testing.assert_array_equal(named.partial, scene.partial)
        np.testing.assert_array_equal(named.truth, scene.truth)
        few, whole = request.condition["partial"].tolist(), scene.partial.tolist()
        assert set(map(tuple, few)) <= set(map(tuple, whole)) and len(whole) > len(few)


def test_training_is_repeatable_and_always_new(scenes: Scenes) -> None:
    first, again = (scenes.training(CONFIG, [5, 7]) for _ in range(2))
    assert_same(again[1], first[1])
    # Number 7 is the scan of number 5 once more, augmented in another way.
    assert first[0].name == first[1].name
    assert not torch.equal(first[0].condition["partial"], first[1].condition["partial"])
    keys = ((0, 0), (0, 0), (1, 0), (0, 1))
    batches = [scenes.training_batch(CONFIG, 2, index, seed).points for index, seed in keys]
    one, same, *others = (points for points in batches if points is not None)
    assert torch.equal(one, same) and len(others) == 2
    assert not any(torch.equal(one, other) for other in others)


def test_a_part_of_a_teachers_scene_is_another_of_each(scenes: Scenes) -> None:
    size = {"partial_points": CONFIG.partial_points, "radius": CONFIG.radius}
    parts = PointConfig.model_validate({**size, "learning_points": 20})
    batch = scenes.training_batch(parts, 3, 0, 0)
    rows = torch.cdist(torch.as_tensor(batch.origin), batch.condition["partial"]).argmin(-1)
    assert len({tuple(one.tolist()) for one in rows}) == 3


# What a scene holds


def test_completions_start_at_the_scan_repeated_as_a_block(scenes: Scenes) -> None:
    for request in (*held_out(scenes, 0), *scenes.training(CONFIG, [0])):
        assert request.origin is not None and request.truth is not None
        partial = request.condition["partial"]
        assert partial.shape == (CONFIG.partial_points, 3)
        assert torch.equal(request.origin, torch.cat([partial] * CONFIG.copies))
        assert request.size == len(request.origin) == len(request.truth) == CONFIG.points
    [request] = scenes.validation(CONFIG, 1)
    assert request.truth is not None and len(request.truth) > CONFIG.points


def test_a_batch_holds_truths_only_of_its_own_size(scenes: Scenes) -> None:
    requests = held_out(scenes, 0, 1)
    batch = batch_of(requests)
    assert batch.mask.all() and batch.shape == (2, CONFIG.points, 3)
    for k, request in enumerate(requests):
        truth, origin = request.truth, request.origin
        assert batch.points is not None and batch.origin is not None
        assert truth is not None and torch.equal(batch.points[k], truth)
        assert origin is not None and torch.equal(batch.origin[k], origin)
        assert torch.equal(batch.condition["partial"][k], request.condition["partial"])
    assert batch_of(scenes.validation(CONFIG, 2)).points is None


# One damaged scan


@pytest.mark.parametrize(
    "missing",
    [pytest.param(7, id="in a point"), pytest.param(16, id="after a point")],
)
def test_a_damaged_scan_costs_that_scan_only(
    missing: int, copy: Copy, tiny_streets: LidarData
) -> None:
    [street] = tiny_streets.held_out
    data = copy(street)
    path = sorted((Path(str(data.path)) / "sequences" / street / "velodyne").iterdir())[0]
    path.write_bytes(path.read_bytes()[:-missing])
    scenes = Scenes(data)
    found = scenes.held_out(CONFIG, range(2), 0)
    errors = [str(one) for one in found if isinstance(one, FewstepError)]
    assert len(errors) == 1 and path.stem in errors[0]
    usable = {k: one.name for k, one in enumerate(found) if isinstance(one, Request)}
    assert set(usable.values()) == {f"{street}_000001"}
    assert {k: scene.name for k, scene in scenes.whole(range(2), 0).items()} == usable


# Loose scans


def loose(directory: Path) -> Scenes:
    return Scenes(LidarData(scans=str(directory)))


def scan_of(count: int) -> np.ndarray:
    """Points of a ring 10 m away, and one of the own car."""
    angle = np.linspace(0, 6, count)
    ring = np.column_stack([10 * np.cos(angle), 10 * np.sin(angle), 0.1 * angle])
    return np.concatenate([ring, [[0.5, 0, 0]]]).astype(np.float32)


def test_loose_scans_of_all_formats_are_completed_without_truth(tmp_path: Path) -> None:
    assert len(SCAN_SUFFIXES) == 3
    for name, suffix in zip("abc", SCAN_SUFFIXES, strict=True):
        write_points(tmp_path / f"{name}{suffix}", scan_of(90))
    (tmp_path / "notes.txt").write_text("no scan")
    found = loose(tmp_path).held_out(CONFIG, range(3), 0)
    assert [one.name for one in found if isinstance(one, Request)] == ["a", "b", "c"]
    for one in found:
        assert isinstance(one, Request) and one.truth is None
        assert one.condition["partial"].norm(dim=1).min() > 3.5
    assert loose(tmp_path).by_name(["a"]) == [None] and loose(tmp_path).whole([0], 0) == {}


def test_damaged_loose_scan_costs_itself_only(tmp_path: Path) -> None:
    write_points(tmp_path / "a.bin", scan_of(90))
    (tmp_path / "b.bin").write_bytes(b"short")
    write_points(tmp_path / "c.bin", scan_of(3)[-1:])
    first, *others = loose(tmp_path).held_out(CONFIG, range(3), 0)
    assert isinstance(first, Request)
    for name, other in zip(("b.bin", "c.bin"), others, strict=True):
        assert isinstance(other, FewstepError) and name in str(other)


def test_more_scans_than_there_are_is_one_line(tmp_path: Path, tiny_streets: LidarData) -> None:
    write_points(tmp_path / "a.bin", scan_of(90))
    for scenes in (loose(tmp_path), Scenes(tiny_streets)):
        with pytest.raises(FewstepError, match="not so many scans"):
            scenes.held_out(CONFIG, [0, 99], 0)
    with pytest.raises(FewstepError, match=r"data\.scans"):
        loose(tmp_path / "nowhere").held_out(CONFIG, [0], 0)


def test_scans_that_would_share_a_name_are_one_line(tmp_path: Path) -> None:
    for name in ("a.bin", "a.ply"):
        write_points(tmp_path / name, scan_of(90))
    with pytest.raises(FewstepError, match="suffix only"):
        loose(tmp_path).held_out(CONFIG, [0], 0)


# Scans as sensors write them


def test_training_and_validation_pass_over_scans_that_cannot_be_used(
    copy: Copy, tiny_streets: LidarData, caplog: pytest.LogCaptureFixture
) -> None:
    data = copy(*tiny_streets.train)
    for name in tiny_streets.train:
        place = Path(str(data.path)) / "sequences" / name / "velodyne/000000.bin"
        rows = np.fromfile(place, "<f4").reshape(-1, 4)
        (rows * np.nan).tofile(place)
    scenes = Scenes(data)
    assert scenes.training_batch(CONFIG, 6, 0, 0).shape == (6, CONFIG.points, 3)
    found = [*scenes.training(CONFIG, range(4)), *scenes.validation(CONFIG, 2)]
    assert {one.name[-6:] for one in found} == {"000001"}
    assert sum("passed over" in message for message in caplog.messages) == 2


def test_no_returns_of_a_loose_scan_are_left_out_and_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    organised = np.concatenate([scan_of(90), np.full((30, 3), np.nan)])
    header = "FIELDS x y z\nSIZE 4 4 4\nTYPE F F F\nWIDTH {}\nHEIGHT 1\nPOINTS {}\nDATA ascii\n"
    for name, points in (("some", organised), ("none", organised[-30:])):
        rows = "".join("{} {} {}\n".format(*point) for point in points)
        (tmp_path / f"{name}.pcd").write_text(header.format(len(points), len(points)) + rows)
    none, some = loose(tmp_path).held_out(CONFIG, range(2), 0)
    assert isinstance(none, FewstepError) and "30 points that are not finite" in str(none)
    assert isinstance(some, Request) and bool(torch.isfinite(some.condition["partial"]).all())
    assert caplog.messages == [f"{tmp_path}/some.pcd: 30 of 121 points are not finite and left out"]


def test_columns_of_loose_scans_are_what_the_settings_say(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).normal(scale=9, size=(480, 5)).astype("<f4")
    noise.tofile(tmp_path / "a.bin")
    [doubtful] = loose(tmp_path).held_out(CONFIG, [0], 0)
    assert isinstance(doubtful, FewstepError) and "3, 4, 5, 6 or 8" in str(doubtful)
    columns = ("ring", "x", "y", "z", "intensity")
    [told] = Scenes(LidarData(scans=str(tmp_path), columns=columns)).held_out(CONFIG, [0], 0)
    assert isinstance(told, Request)
    points = {tuple(row) for row in noise[:, 1:4].tolist()}
    assert {tuple(row) for row in told.condition["partial"].tolist()} <= points


def test_columns_of_sequences_are_what_the_settings_say(
    copy: Copy, tiny_streets: LidarData
) -> None:
    [street] = tiny_streets.held_out
    data = copy(street)
    for path in (Path(str(data.path)) / "sequences" / street / "velodyne").iterdir():
        np.fromfile(path, "<f4").reshape(-1, 4)[:, [3, 2, 1, 0]].tofile(path)
    turned = data.model_copy(update={"columns": ("intensity", "z", "y", "x")})
    [found], [expected] = held_out(Scenes(turned), 0), held_out(Scenes(tiny_streets), 0)
    assert_same(found, expected)


def test_hidden_files_are_no_loose_scans(tmp_path: Path) -> None:
    write_points(tmp_path / "x.bin", scan_of(90))
    (tmp_path / "._x.bin").write_bytes(b"Mac OS X")
    (tmp_path / "y.BIN").write_bytes((tmp_path / "x.bin").read_bytes())
    found = loose(tmp_path).held_out(CONFIG, range(2), 0)
    assert [one.name for one in found if isinstance(one, Request)] == ["x", "y"]
