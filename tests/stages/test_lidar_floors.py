"""Contract: what no network gives is a set, too; teachers are calibrated; a folder is completed."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from lidar.tiny_denoiser import tiny_denoiser
from stages.lidar_case import make_run, write

from domains.batch import Batch
from domains.distillation.roles import Draws
from domains.errors import FewstepError
from domains.field import load_field
from domains.lidar.calibrate import Fit
from domains.lidar.calibration import Calibration
from domains.lidar.data.scene_sample import near_sensor
from domains.lidar.denoiser import LidarDenoiser
from domains.lidar.files import read_points, write_points
from domains.lidar.settings import LidarData, LidarGenerate
from domains.stages.calibrate import calibrate
from domains.stages.complete import complete


@pytest.fixture(scope="module")
def run(open3d: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run; returns the directory it ran in."""
    return make_run(tmp_path_factory.mktemp("lidar"))


def test_floor_is_the_scan_with_noise_and_asks_no_network(run: Path) -> None:
    shard = run / "results/tiny/samples/jitter/shard_0000"
    index, streets = pd.read_csv(shard / "index.csv"), run / "results/tiny/streets"
    assert (index["network_calls"] == 0).all()
    field = load_field("lidar").with_data(LidarData(path=str(streets), held_out=("500",)))
    requests = {
        one.name: one for one in field.requests(LidarGenerate(scenes=2), [0, 1], tiny_denoiser(), 1)
    }
    for row in index.itertuples():
        found = field.read(shard / str(row.file))
        request = requests[found.name]
        # Farthest points depend on nothing but the scan; some points the post-filter takes away.
        assert 0.5 * request.size < len(found.points) <= request.size
        distance = torch.cdist(found.points, request.origin).min(1).values
        assert 0.02 < distance.mean() < 0.4


def test_thinned_set_has_some_of_the_points(run: Path) -> None:
    samples = run / "results/tiny/samples"
    index = pd.read_csv(samples / "thinned/shard_0000/index.csv")
    assert (index["length"] == 50).all()
    name = index["file"][0]
    few, all_points = (
        {tuple(row) for row in read_points(samples / which / "shard_0000" / name).tolist()}
        for which in ("thinned", "input")
    )
    assert few < all_points


def test_teacher_is_calibrated_and_its_weights_stay(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A network of two steps knows nothing of the noise, so what was fitted is put in its place."""

    def fitted(denoiser: LidarDenoiser, batches: list[Batch], draws: Draws) -> list[Fit]:
        assert len(batches) == 2 and not denoiser.training
        return [Fit(100, 0.5, 0.9, 0.7), Fit(900, 0.6, 0.8, 0.7)]

    monkeypatch.setattr("domains.lidar.field.fit_levels", fitted)
    out = run / "results/tiny"
    streets = {"path": str(out / "streets"), "train": ["000", "001"], "held_out": ["500"]}
    config = write(tmp_path / "run.yaml", data=streets | {"simulate": None})
    with pytest.raises(FewstepError, match="no calibration section"):
        calibrate(config, out / "teacher", tmp_path / "calibrated")
    config = write(
        tmp_path / "run.yaml", data=streets | {"simulate": None}, calibration={"scenes": 2}
    )
    calibrate(config, out / "teacher", tmp_path / "calibrated")
    first, second = (
        load_field("lidar").load(path) for path in (out / "teacher", tmp_path / "calibrated")
    )
    assert first.calibration is None
    assert second.calibration == Calibration((100, 900), (0.5, 0.6))
    assert first.process.regularised and not second.process.regularised
    assert all(v.equal(second.state_dict()[k]) for k, v in first.state_dict().items())


def test_a_folder_of_scans_is_completed_without_settings(
    run: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The scan's points stay, grey and marked; what can't be read is named and passed over."""
    whole = run / "results/tiny/streets/sequences/500/velodyne/000001.bin"
    write_points(tmp_path / "scans/whole.bin", read_points(whole))
    (tmp_path / "scans/broken.bin").write_bytes(b"12345")
    with caplog.at_level("INFO"):
        model = str(run / "results/tiny/student")
        complete(tmp_path / "scans", output=tmp_path / "made", model=model)
    assert "broken.bin" in caplog.text and "1 scans completed" in caplog.text
    assert {path.name for path in (tmp_path / "made").iterdir()} == {"whole.ply", "whole.png"}
    content = (tmp_path / "made/whole.ply").read_bytes()
    head, _, body = content.partition(b"end_header\n")
    rows = np.frombuffer(body, [("xyz", "<f4", 3), ("colour", "u1", 3), ("scanned", "u1")])
    assert b"property uchar scanned" in head and f"vertex {len(rows)}".encode() in head
    scan = near_sensor(read_points(whole))
    np.testing.assert_array_equal(rows["xyz"][rows["scanned"] == 1], scan)
    assert (rows["scanned"] == 0).sum() > 10
    assert len(set(map(bytes, rows["colour"][rows["scanned"] == 0]))) == 1
    np.testing.assert_array_equal(read_points(tmp_path / "made/whole.ply"), rows["xyz"])


def test_completions_alone_are_written_on_request(run: Path, tmp_path: Path) -> None:
    whole = run / "results/tiny/streets/sequences/500/velodyne/000001.bin"
    write_points(tmp_path / "scans/whole.bin", read_points(whole))
    model = str(run / "results/tiny/student")
    for name, kept in (("both", True), ("alone", False)):
        complete(tmp_path / "scans", output=tmp_path / name, model=model, scan_points=kept)
    both, alone = (read_points(tmp_path / name / "whole.ply") for name in ("both", "alone"))
    np.testing.assert_array_equal(both[-len(alone) :], alone)
    assert len(both) - len(alone) == len(near_sensor(read_points(whole)))


def test_a_teacher_is_no_student_and_nothing_may_be_completed(run: Path, tmp_path: Path) -> None:
    (tmp_path / "scans").mkdir()
    (tmp_path / "scans/broken.bin").write_bytes(b"12345")
    student, made = str(run / "results/tiny/student"), tmp_path / "made"
    with pytest.raises(FewstepError, match=r"there are files in .*scans already"):
        complete(tmp_path / "scans", output=tmp_path / "scans/../scans", model=student)
    with pytest.raises(FewstepError, match="is no student"):
        complete(tmp_path / "scans", output=made, model=str(run / "results/tiny/teacher"))
    with pytest.raises(FewstepError, match=r"no scan of .* could be completed"):
        complete(tmp_path / "scans", output=made, model=student)


def test_a_scan_without_a_completion_is_passed_over(
    run: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    whole = read_points(run / "results/tiny/streets/sequences/500/velodyne/000001.bin")
    write_points(tmp_path / "scans/a.bin", np.tile(np.float32([[8.0, 1.0, 0.5]]), (500, 1)))
    write_points(tmp_path / "scans/b.bin", whole)
    complete(tmp_path / "scans", output=tmp_path / "made", scan_points=False)
    assert "a: the sample has no points that count" in caplog.text
    assert {path.name for path in (tmp_path / "made").iterdir()} == {"b.ply", "b.png"}
