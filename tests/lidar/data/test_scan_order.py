"""Contract: each scan gets the pose and the labels of its own number, or the order is refused."""

from pathlib import Path

import numpy as np
import pytest
from lidar.data.sequence_files import wall, write_sequence

from domains.errors import FewstepError
from domains.lidar.data.scan_order import in_number_order
from domains.lidar.data.semantic_kitti import open_sequence

ORDERS = {
    "padded": ["000000", "000001", "000010"],
    "unpadded": ["0", "1", "2", "9", "10", "11", "100"],
    "behind a word": ["frame_9", "frame_10", "frame_100"],
    "before a word": ["9_left", "10_left"],
    "two numbers": ["run2_9", "run2_10", "run10_1"],
    "seconds": ["1317376480.25", "1317376480.75", "1317376481.50"],
    "seconds and nanoseconds": ["9_000000001", "10_000000000"],
    "words": ["a", "b", "c"],
    "one": ["scan"],
}


@pytest.mark.parametrize("names", ORDERS.values(), ids=ORDERS)
def test_numbers_are_in_number_order(names: list[str]) -> None:
    paths = [Path("velodyne") / f"{name}.bin" for name in names]
    for order in (paths, paths[::-1], sorted(paths)):
        assert in_number_order(order) == tuple(paths)


UNCLEAR = {
    "the same number": ["1", "01", "2"],
    "the same name in capitals": ["000001.bin", "000001.BIN"],
    "fractions": ["1.5", "1.25"],
    "words and numbers": ["frame_10", "scan_9"],
    "letters among the digits": ["10ab", "9cd"],
    "negative numbers": ["-1", "0", "1", "-2"],
}


@pytest.mark.parametrize("names", UNCLEAR.values(), ids=UNCLEAR)
def test_an_unclear_order_is_refused(names: list[str]) -> None:
    paths = [Path(name if "." in name[-4:] else f"{name}.bin") for name in names]
    paths = [path if path.suffix.lower() == ".bin" else Path(f"{path}.bin") for path in paths]
    with pytest.raises(FewstepError, match=r"Pad their numbers") as error:
        in_number_order(paths)
    assert len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize("form", ["{}", "frame_{}", "{}_top"])
def test_scan_k_has_pose_k_and_label_k(tmp_path: Path, form: str) -> None:
    scans = [wall(50 + k, k) for k in range(12)]
    places = [(k, 0, 0) for k in range(12)]
    names = [form.format(k) for k in range(12)]
    sequence = open_sequence(write_sequence(tmp_path / "08", scans, places, names))
    for k in range(12):
        assert sequence.scan_files[k].stem == form.format(k)
        assert sequence.poses[k, 0, 3] == k
        np.testing.assert_array_equal(sequence.points(k), scans[k][:, :3])
        assert set(sequence.labels(k).tolist()) == {40 + k}


def test_hidden_files_are_not_scans_and_capitals_are(tmp_path: Path) -> None:
    directory = write_sequence(tmp_path / "08", [wall(seed=k) for k in range(3)], [(0, 0, 0)] * 3)
    for k in range(3):
        (directory / f"velodyne/00000{k}.bin").rename(directory / f"velodyne/00000{k}.BIN")
        (directory / f"velodyne/._00000{k}.BIN").write_bytes(b"Mac OS X")
        (directory / f"labels/._00000{k}.label").write_bytes(b"Mac OS X")
    sequence = open_sequence(directory)
    assert [path.name for path in sequence.scan_files] == [f"00000{k}.BIN" for k in range(3)]
    np.testing.assert_array_equal(sequence.points(2), wall(seed=2)[:, :3])
