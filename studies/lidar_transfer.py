"""Completions of real scans by models trained on simulated streets: a transfer check.

The scans and their map are packed arrays that are not part of this repository: scans with
``xyz_i16``, ``scale``, ``counts`` and ``poses_velo`` (sensor to first scan), the map with
``vox_i16``, ``origin_vox`` and ``voxel`` in the first scan's frame. Moving objects are in the map.

    python studies/lidar_transfer.py SCANS.npz MAP.npz A=DIRECTORY:dpm:50 B=DIRECTORY:renoise:4
"""

import argparse
from pathlib import Path

import numpy as np
import torch

from domains.batch import Request
from domains.distillation.noise import SampleNoise, generator
from domains.distillation.sampling.dpm_solver import solve
from domains.distillation.sampling.sampler import last, renoise
from domains.lidar.data.scene_sample import (
    HIGHEST,
    LOWEST,
    RADIUS,
    farthest_points,
    near_partial,
    near_sensor,
)
from domains.lidar.data.scenes import batch_of
from domains.lidar.denoiser import LidarDenoiser
from domains.lidar.local_noise import LocalNoise
from domains.lidar.metrics.iou import iou, occupancy_counts
from domains.lidar.metrics.scene import scene_metrics
from domains.lidar.post_filter import post_filter

COLUMNS = ("chamfer", "rmse_mean", "jsd_3d", "jsd_bev")
PROCESS = LocalNoise()


def scenes(scans: Path, mapped: Path) -> list[tuple[np.ndarray, np.ndarray]]:
    """Scans and the map around each, in its frame, by the rules of the evaluation."""
    with np.load(scans) as packed, np.load(mapped) as cells:
        xyz = (packed["xyz_i16"] * packed["scale"]).astype(np.float32)
        parts = np.split(xyz, np.cumsum(packed["counts"])[:-1])
        poses = packed["poses_velo"].astype(np.float64)
        world = (cells["vox_i16"] + cells["origin_vox"] + 0.5) * cells["voxel"]
    found = []
    for scan, pose in zip(parts, poses, strict=True):
        truth = ((world - pose[:3, 3]) @ pose[:3, :3]).astype(np.float32)
        kept = np.linalg.norm(truth, axis=1) < RADIUS
        kept &= (truth[:, 2] > LOWEST) & (truth[:, 2] < HIGHEST)
        scan = near_sensor(scan)
        truth = truth[kept]
        found.append((scan, truth[near_partial(truth, scan)]))
    return found


def complete(model: LidarDenoiser, scan: np.ndarray, kind: str, steps: int, seed: int):
    """One completion, post-filtered."""
    partial = torch.from_numpy(farthest_points(scan, model.config.partial_points))
    size = model.config.points
    request = Request("scan", size, {"partial": partial}, partial.repeat(model.config.copies, 1))
    noise = SampleNoise([generator(seed, "transfer")], [size])
    with torch.inference_mode():
        batch = model.encode(batch_of([request]))
        sampler = solve if kind == "dpm" else renoise
        points = last(sampler(model, PROCESS, batch, PROCESS.times(steps), noise))[0]
    return post_filter(points.numpy(), partial.numpy())


def row(name: str, completions: list[np.ndarray], truths: list[np.ndarray]) -> str:
    """Means over the scans; IoU from summed counts."""
    pairs = list(zip(completions, truths, strict=True))
    each = [scene_metrics(ours, truth, transport=False) for ours, truth in pairs]
    cells = [f"{np.mean([one[column] for one in each]):.3f}" for column in COLUMNS]
    for size in (0.5, 0.2):
        counts = np.sum([occupancy_counts(ours, truth, size) for ours, truth in pairs], axis=0)
        cells.append(f"{100 * iou(*counts):.1f}")
    return f"| {name} | " + " | ".join(cells) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("scans", type=Path)
    parser.add_argument("map", type=Path)
    parser.add_argument("models", nargs="+", metavar="NAME=DIRECTORY:SAMPLER:STEPS")
    options = parser.parse_args()
    given = scenes(options.scans, options.map)
    truths = [truth for _, truth in given]
    print(f"{len(given)} scans")
    print("| | " + " | ".join((*COLUMNS, "IoU 0.5", "IoU 0.2")) + " |")
    print("|---" * 7 + "|")
    print(row("scan, not completed", [scan for scan, _ in given], truths), flush=True)
    for model in options.models:
        name, _, rest = model.partition("=")
        directory, kind, steps = rest.rsplit(":", 2)
        network = LidarDenoiser.load(Path(directory))
        made = [complete(network, scan, kind, int(steps), k) for k, (scan, _) in enumerate(given)]
        print(row(name, made, truths), flush=True)


if __name__ == "__main__":
    main()
