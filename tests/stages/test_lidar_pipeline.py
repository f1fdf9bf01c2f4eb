"""Contract: simulate → pretrain → refine → distill → generate → evaluate → report for LiDAR.

A scan that can't be read is listed; the others of its shard are completed all the same.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from lidar.tiny_denoiser import tiny_denoiser
from tiny_run import LIDAR_NETWORK, deep_update

from domains.errors import FewstepError
from domains.evaluation.statistics.table import SUMMARY, read_table
from domains.field import load_field
from domains.lidar.data.scene_sample import near_sensor
from domains.lidar.files import read_points, write_points
from domains.lidar.settings import LidarData
from domains.stages.calibrate import calibrate
from domains.stages.complete import complete
from domains.stages.distill import distill
from domains.stages.evaluate import evaluate
from domains.stages.generate import generate
from domains.stages.pretrain import pretrain
from domains.stages.report import report
from domains.stages.simulate import simulate

SETS = {
    "data": {"model": "data"},
    "input": {"model": "decoys"},
    "thinned": {"model": "decoys", "points": 50},
    "jitter": {"model": "teacher", "sampler": {"kind": "jitter", "noise_scale": 0.2}},
    "teacher": {"model": "teacher", "sampler": {"kind": "dpm", "steps": 2, "guidance": 2.0}},
    "refined": {"model": "teacher", "refine": True, "sampler": {"kind": "renoise", "steps": 1}},
    "student": {"model": "student", "sampler": {"kind": "renoise", "steps": 2}},
}


def write(path: Path, **changes: Any) -> Path:
    base: dict[str, Any] = {
        "name": "tiny",
        "domain": "lidar",
        "seed": 1,
        "data": {"simulate": {"train": 2, "held_out": 1, "scans": 2, "azimuths": 96}},
        "teacher": "pretrain",
        "pretrain": {"network": LIDAR_NETWORK, "fit": {"steps": 2, "log_every": 1}},
        "students": {
            "student": {
                "objective": {"kind": "distillation_dpo"},
                "teacher_guidance": 1.5,
                "roll_out": {"steps": 2},
                "batch_size": 2,
                "fit": {"steps": 2, "validate_every": 2, "log_every": 1},
                "validation_samples": 2,
            }
        },
        "generate": {"scenes": 2, "formats": ["bin", "png"]},
        "sets": SETS,
        "evaluate": {"gallery": 1},
    }
    path.write_text(yaml.safe_dump(deep_update(base, changes)), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def run(open3d: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run; returns the directory it ran in."""
    root = tmp_path_factory.mktemp("lidar")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        out = Path("results/tiny")
        config = write(root / "run.yaml")
        simulate(config, out / "streets")
        pretrain(config, out / "state/first", out / "first")
        start = {"start": str(out / "first"), "part": "refinement"}
        refinement = write(root / "refinement.yaml", pretrain=start)
        pretrain(refinement, out / "state/teacher", out / "teacher")
        distill(config, "student", out / "teacher", out / "state/student", out / "student")
        for name, facts in SETS.items():
            model = None if facts["model"] in ("data", "decoys") else out / facts["model"]
            generate(config, name, 0, out / "samples" / name / "shard_0000", model)
            evaluate(config, name, out / "samples" / name, out / "evaluation" / name)
        log = out / "state/student/log.csv"
        report(config, out / "evaluation", out / "report.html", out / "results.csv", log)
    return root


@pytest.mark.parametrize("name", SETS)
def test_every_scene_has_its_files(run: Path, name: str) -> None:
    shard = run / "results/tiny/samples" / name / "shard_0000"
    index = pd.read_csv(shard / "index.csv")
    assert len(index) == 2 and not (shard / "skipped.csv").exists()
    for row in index.itertuples():
        stem = str(row.file).removesuffix(".ply")
        assert len(load_field("lidar").read(shard / str(row.file)).points) == row.length
        for suffix in (".bin", "_bird.png", "_perspective.png"):
            assert (shard / f"{stem}{suffix}").stat().st_size > 100


def test_network_calls_count_guidance_and_refinement(run: Path) -> None:
    table = read_table(run / "results/tiny/results.csv", SUMMARY)
    calls = table[table["metric"] == "network_calls"].set_index(["role", "steps"])["value"]
    assert calls["teacher_naive", 2] == 4  # two steps, each with and without the scan
    assert calls["teacher_naive", 1] == 2  # one step and the refinement
    assert calls["student", 2] == 2


def test_memory_is_told_of_models_only(run: Path) -> None:
    table = read_table(run / "results/tiny/results.csv", SUMMARY)
    held = table[table["metric"] == "memory_gb"].set_index("role")["value"]
    assert {"teacher_naive", "student"} <= set(held.index) and "data" not in held.index
    assert ((held > 0.1) & (held < 8)).all()


def test_refinement_gives_six_points_for_each(run: Path) -> None:
    shard = run / "results/tiny/samples/refined/shard_0000"
    assert (pd.read_csv(shard / "index.csv")["length"] % 6 == 0).all()


def test_truth_measures_best(run: Path) -> None:
    table = read_table(run / "results/tiny/results.csv", SUMMARY)
    chamfer = table[table["metric"] == "chamfer"].set_index("set")["value"]
    assert chamfer["data"] < chamfer["input"] < chamfer["student"]
    assert set(table["metric"]) >= {"jsd_3d", "jsd_bev", "iou_0.5", "iou_0.2", "iou_0.1", "emd"}


def test_floor_is_the_scan_with_noise_and_asks_no_network(run: Path) -> None:
    shard = run / "results/tiny/samples/jitter/shard_0000"
    index, streets = pd.read_csv(shard / "index.csv"), run / "results/tiny/streets"
    assert (index["network_calls"] == 0).all()
    field = load_field("lidar").with_data(LidarData(path=str(streets), held_out=("500",)))
    requests = {one.name: one for one in field.requests(None, [0, 1], tiny_denoiser(), 1)}
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


def test_teacher_is_calibrated_and_its_weights_stay(run: Path, tmp_path: Path) -> None:
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
    assert first.calibration is None and second.calibration is not None
    assert first.process.regularised and not second.process.regularised
    assert all(v.equal(second.state_dict()[k]) for k, v in first.state_dict().items())


def test_training_the_refinement_leaves_the_denoiser(run: Path) -> None:
    load = load_field("lidar").load
    first = load(run / "results/tiny/first").state_dict()
    second = load(run / "results/tiny/teacher").state_dict()
    assert all(value.equal(second[name]) for name, value in first.items())
    assert any(name.startswith("refinement.") for name in second)


def test_report_shows_the_scenes(run: Path) -> None:
    page = (run / "results/tiny/report.html").read_text(encoding="utf-8")
    assert "Chamfer" in page and "from above" in page


def test_unreadable_scan_is_listed_and_the_others_are_completed(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(run)
    scan = run / "results/tiny/streets/sequences/500/velodyne/000001.bin"
    whole = scan.read_bytes()
    try:
        scan.write_bytes(whole[:-3])
        generate(run / "run.yaml", "student", 0, tmp_path, run / "results/tiny/student")
    finally:
        scan.write_bytes(whole)
    assert len(pd.read_csv(tmp_path / "index.csv")) == 1
    skipped = pd.read_csv(tmp_path / "skipped.csv")
    assert len(skipped) == 1 and "000001.bin" in skipped["reason"][0]


def test_a_scan_of_one_point_is_listed_and_the_others_are_completed(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(run)
    scans = tmp_path / "scans"
    write_points(scans / "lone.ply", np.array([[10.0, 0.0, 0.0]], np.float32))
    whole = run / "results/tiny/streets/sequences/500/velodyne/000001.bin"
    write_points(scans / "whole.bin", read_points(whole))
    content = yaml.safe_load((run / "run.yaml").read_text(encoding="utf-8"))
    content |= {"data": {"scans": str(scans)}, "teacher": "lidiff-mini", "students": {}}
    content |= {"sets": {"teacher": SETS["teacher"]}, "pretrain": None}
    config = tmp_path / "run.yaml"
    config.write_text(yaml.safe_dump(content), encoding="utf-8")
    generate(config, "teacher", 0, tmp_path / "made", run / "results/tiny/teacher")
    assert pd.read_csv(tmp_path / "made/index.csv")["sample"].tolist() == [1]
    skipped = pd.read_csv(tmp_path / "made/skipped.csv")
    assert skipped["sample"].tolist() == [0] and "lone" in skipped["reason"][0]


def test_scans_as_sensors_write_them_are_completed_or_listed(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each point twice, five columns, no returns; and a scan of no returns only."""
    monkeypatch.chdir(run)
    scan = run / "results/tiny/streets/sequences/500/velodyne/000001.bin"
    points, scans = np.fromfile(scan, "<f4").reshape(-1, 4), tmp_path / "scans"
    scans.mkdir()
    ring = (np.arange(len(points)) % 32)[:, None]
    missing = np.where(ring % 3 == 0, np.nan, points)
    for name, rows in {
        "dual": np.repeat(points[:60], 2, 0),
        "five": np.hstack([points, ring]),
        "holes": missing,
        "nothing": points * np.nan,
    }.items():
        rows.astype("<f4").tofile(scans / f"{name}.bin")
    content = yaml.safe_load((run / "run.yaml").read_text(encoding="utf-8"))
    content |= {"data": {"scans": str(scans)}, "teacher": "lidiff-mini", "students": {}}
    content |= {"sets": {"teacher": SETS["teacher"]}, "pretrain": None, "generate": {}}
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    made, out = tmp_path / "samples/shard_0000", tmp_path / "evaluation/teacher"
    generate(tmp_path / "run.yaml", "teacher", 0, made, run / "results/tiny/teacher")
    assert pd.read_csv(made / "index.csv")["sample"].tolist() == [0, 1, 2]
    skipped = pd.read_csv(made / "skipped.csv")
    assert skipped["sample"].tolist() == [3] and "nothing.bin" in skipped["reason"][0]
    evaluate(tmp_path / "run.yaml", "teacher", made.parent, out)
    titles = [one["title"] for one in json.loads((out / "gallery.json").read_text())["scenes"]]
    assert titles == ["dual, the scan", "dual"]
    page, table = tmp_path / "report.html", tmp_path / "results.csv"
    report(tmp_path / "run.yaml", out.parent, page, table)
    assert "<h1>3 scans completed, " in page.read_text() and "no ground truth" in page.read_text()


def test_settings_of_the_other_field_are_refused(tmp_path: Path) -> None:
    from domains.config import load_config

    for wrong in (
        {"generate": {"lengths": [40]}},
        {"data": {"path": "x"}},
        {"students": {"student": {"teacher_noise_scale": 0.5}}},
        {"sets": {"student": {"sampler": {"kind": "sde"}}}},
        {"data": {"simulate": None}},
        {"data": {"simulate": None, "scans": "x"}},
        {"data": {"train": ["08"]}},
    ):
        with pytest.raises(FewstepError):
            load_config(write(tmp_path / "wrong.yaml", **wrong))


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
    with pytest.raises(FewstepError, match="is no student"):
        complete(tmp_path / "scans", model=str(run / "results/tiny/teacher"))
    with pytest.raises(FewstepError, match=r"no scan of .* could be completed"):
        complete(tmp_path / "scans", model=str(run / "results/tiny/student"))
