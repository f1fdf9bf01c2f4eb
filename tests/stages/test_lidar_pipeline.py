"""Contract: simulate → pretrain → refine → distill → generate → evaluate → report for LiDAR.

A scan that can't be read is listed; the others of its shard are completed all the same.
"""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from stages.lidar_case import SETS, make_run, write

from domains.errors import FewstepError
from domains.evaluation.statistics.table import SUMMARY, read_table
from domains.field import load_field
from domains.lidar.files import read_points, write_points
from domains.stages.evaluate import evaluate
from domains.stages.generate import generate
from domains.stages.report import report


@pytest.fixture(scope="module")
def run(open3d: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run; returns the directory it ran in."""
    return make_run(tmp_path_factory.mktemp("lidar"))


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
    least = table.groupby(["metric", "role"])["value"].min()
    assert least["chamfer", "data"] < least["chamfer", "decoys"] <= least["chamfer", "student"]
    # The scan together with itself is the scan; with a part of the truth it is better.
    together = least["chamfer_with_scan"]
    assert together["data"] < together["decoys"] == least["chamfer", "decoys"]
    assert set(table["metric"]) >= {"jsd_3d", "jsd_bev", "iou_0.5", "iou_0.2", "iou_0.1", "emd"}


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
