"""Completions of real scans by students trained on simulated streets: a transfer check.

The scans and their map are packed arrays that are not part of this repository: scans with
``xyz_i16``, ``scale``, ``counts`` and ``poses_velo`` (sensor to first scan), the map with
``vox_i16``, ``origin_vox`` and ``voxel`` in the first scan's frame. Moving objects are in the map.

    python -m studies.lidar_transfer SCANS.npz MAP.npz lidar-street-8 DIRECTORY_OF_ANOTHER
"""

import argparse
import csv
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

from domains.lidar.data.scene_sample import (
    HIGHEST,
    LOWEST,
    farthest_points,
    near_partial,
    near_sensor,
)
from domains.lidar.metrics.iou import iou, occupancy_counts
from domains.lidar.metrics.scene import scene_metrics
from domains.stages.students import SceneStudent

COLUMNS = ("chamfer", "jsd_3d", "jsd_bev", "f1_auc")
CELLS = (0.5, 0.2)
POINTS = 30_000  # of a completion


def scenes(scans: Path, mapped: Path, radius: float) -> list[tuple[np.ndarray, np.ndarray]]:
    """Scans and the map around each, in its frame, by the rules of the evaluation."""
    with np.load(scans) as packed, np.load(mapped) as cells:
        xyz = (packed["xyz_i16"] * packed["scale"]).astype(np.float32)
        parts = np.split(xyz, np.cumsum(packed["counts"])[:-1])
        poses = packed["poses_velo"].astype(np.float64)
        world = (cells["vox_i16"] + cells["origin_vox"] + 0.5) * cells["voxel"]
    found = []
    for scan, pose in zip(parts, poses, strict=True):
        truth = ((world - pose[:3, 3]) @ pose[:3, :3]).astype(np.float32)
        kept = np.linalg.norm(truth, axis=1) < radius
        kept &= (truth[:, 2] > LOWEST) & (truth[:, 2] < HIGHEST)
        scan = near_sensor(scan, radius)
        truth = truth[kept]
        found.append((scan, truth[near_partial(truth, scan)]))
    return found


def jittered(scan: np.ndarray, number: int) -> np.ndarray:
    """Noise of 0.1 m around points of the scan, as many as a completion has: no network."""
    stream = np.random.default_rng(number)
    centres = farthest_points(scan, 6000)
    points = np.repeat(centres, POINTS // len(centres), axis=0)
    return (points + 0.1 * stream.standard_normal(points.shape)).astype(np.float32)


def measured(made: list[np.ndarray], truths: list[np.ndarray]) -> dict[str, float]:
    """Means over the scans; IoU from summed counts."""
    pairs = list(zip(made, truths, strict=True))
    each = [scene_metrics(ours, truth, transport=False) for ours, truth in pairs]
    found = {column: float(np.mean([one[column] for one in each])) for column in COLUMNS}
    for size in CELLS:
        counts = np.sum([occupancy_counts(ours, truth, size) for ours, truth in pairs], axis=0)
        found[f"iou_{size}"] = iou(*counts)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("scans", type=Path)
    parser.add_argument("map", type=Path)
    parser.add_argument("students", nargs="+", help="bundled names or directories")
    asked = parser.parse_args()
    students = {Path(name).name: SceneStudent(name) for name in asked.students}
    radius = min(one.radius for one in students.values())
    given = scenes(asked.scans, asked.map, radius)
    truths = [truth for _, truth in given]
    makers: dict[str, Callable[[np.ndarray, int], np.ndarray]] = {
        "scan": lambda scan, _: scan,
        "thinned": lambda scan, _: farthest_points(scan, POINTS),
        "jitter": jittered,
        **{name: one.complete for name, one in students.items()},
    }
    table = csv.writer(sys.stdout, lineterminator="\n")
    table.writerow(["run", "metric", "value", "n"])
    for name, make in makers.items():
        made = [make(scan, number) for number, (scan, _) in enumerate(given)]
        kept = [np.concatenate([ours, scan]) for ours, (scan, _) in zip(made, given, strict=True)]
        found = measured(made, truths)
        found["chamfer_with_scan"] = measured(kept, truths)["chamfer"]
        for metric, value in found.items():
            table.writerow([name, metric, f"{value:.4f}", len(given)])
        sys.stdout.flush()


if __name__ == "__main__":
    main()
