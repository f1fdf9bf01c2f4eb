"""Time and memory of the LiDAR metrics on scenes of full size.

Truth: 360,000 points of the exact surface of a simulated street, within 50 m. Predictions:
*good*, 180,000 points of the same surface with 0.1 m of noise; *noise*, each of the scan's
18,000 points ten times with 1 m of noise, which is where LiDiff's sampling starts, after the
post-filter. Every metric runs in its own process, whose peak memory is its own.

    OMP_NUM_THREADS=1 python benchmarks/lidar_metrics.py
"""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from domains.lidar.data.scene_sample import RADIUS, Streets
from domains.lidar.metrics.clouds import VOXEL
from domains.lidar.metrics.distances import areas, chamfer, nearest_distances, precision_recall_f
from domains.lidar.metrics.emd import emd
from domains.lidar.metrics.iou import CELLS, iou, occupancy_counts, occupancy_counts_legacy
from domains.lidar.metrics.jensen_shannon import jsd_3d, jsd_bev
from domains.lidar.metrics.scene import COARSE_VOXEL, scene_metrics
from domains.lidar.metrics.sinkhorn_legacy import emd_sinkhorn_legacy
from domains.lidar.post_filter import post_filter
from domains.lidar.simulator.writer import SURFACE_FILE, simulate_sequence

PREDICTED, TRUTH = 180_000, 360_000
SCANS = 8
REPEATS = 3
# Slower cases run once.
PATIENCE = 10.0
CASES = ("good", "noise")


def distances(predicted: np.ndarray, truth: np.ndarray) -> str:
    found = nearest_distances(predicted, truth)
    areas(precision_recall_f(found))
    return f"Chamfer {chamfer(found):.4f} m"


def transport(predicted: np.ndarray, truth: np.ndarray, voxel: float = VOXEL) -> str:
    value, gap = emd(predicted, truth, voxel)
    return f"{value:.4f} m, gap {gap:.1g} m"


def whole_row(transport: bool) -> Callable[[np.ndarray, np.ndarray], str]:
    return lambda p, g: f"{len(scene_metrics(p, g, transport=transport))} columns"


METRICS: dict[str, Callable[[np.ndarray, np.ndarray], str]] = {
    "reading the clouds only": lambda p, g: "",
    "Chamfer, RMSE, precision, recall, F": distances,
    "JSD 3D": lambda p, g: f"{jsd_3d(p, g):.4f}",
    "JSD BEV": lambda p, g: f"{jsd_bev(p, g):.4f}",
    **{
        f"IoU {size} m": lambda p, g, size=size: f"{iou(*occupancy_counts(p, g, size)):.4f}"
        for size in CELLS
    },
    "IoU 0.1 m, legacy": lambda p, g: f"{iou(*occupancy_counts_legacy(p, g, 0.1)):.4f}",
    "EMD": transport,
    f"EMD of {COARSE_VOXEL:g} m cells": partial(transport, voxel=COARSE_VOXEL),
    "EMD, legacy Sinkhorn": lambda p, g: f"{emd_sinkhorn_legacy(p, g):.4f} m",
    "a scene's row without transport": whole_row(False),
    "a scene's row": whole_row(True),
}


def clouds(sequence: Path) -> dict[str, np.ndarray]:
    """Return truth and predictions of the first scan of a simulated street."""
    rng = np.random.default_rng(0)
    simulate_sequence(sequence, seed=0, scans=SCANS)
    scan = Streets([sequence], training=False).sample(0).partial
    with np.load(sequence / SURFACE_FILE) as arrays:
        surface = arrays["points"]
    surface = surface[np.linalg.norm(surface, axis=1) < RADIUS]
    # Truth is the front of this order, the prediction its end; they may overlap.
    surface = rng.permutation(surface).astype(np.float32)
    good = surface[-PREDICTED:] + rng.normal(0, 0.1, (PREDICTED, 3)).astype(np.float32)
    noise = scan.repeat(PREDICTED // len(scan), 0)
    noise = noise + rng.normal(0, 1, noise.shape).astype(np.float32)
    return {"truth": surface[:TRUTH], "good": good, "noise": post_filter(noise, scan)}


def measure(file: str, case: str, metric: str) -> None:
    """Print seconds, peak memory and result of one metric as JSON."""
    with np.load(file) as arrays:
        predicted, truth = arrays[case], arrays["truth"]
    METRICS[metric](predicted[:100], truth[:100])  # what is imported on demand
    seconds: list[float] = []
    while len(seconds) < REPEATS and max(seconds, default=0) < PATIENCE:
        before = time.process_time()
        result = METRICS[metric](predicted, truth)
        seconds.append(time.process_time() - before)
    # Not getrusage, which starts from the peak of the parent.
    peak = Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]
    print(json.dumps([statistics.median(seconds), int(peak) / 1e6, len(seconds), result]))


def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "clouds.npz"
        arrays = clouds(Path(directory) / "00")
        np.savez(file, truth=arrays["truth"], good=arrays["good"], noise=arrays["noise"])
        sizes = {name: f"{len(points):,}" for name, points in arrays.items()}
        print(f"Points: {', '.join(f'{name} {size}' for name, size in sizes.items())}.\n")
        print("| prediction | metric | CPU-s | runs | peak GB | result |")
        print("|---|---|---|---|---|---|")
        for case in CASES:
            for metric in METRICS:
                command = [sys.executable, __file__, str(file), case, metric]
                line = subprocess.run(command, check=True, capture_output=True, text=True).stdout
                seconds, peak, runs, result = json.loads(line)
                row = (case, metric, f"{seconds:.2f}", runs, f"{peak:.2f}", result)
                print(f"| {' | '.join(map(str, row))} |", flush=True)


if __name__ == "__main__":
    main() if len(sys.argv) == 1 else measure(*sys.argv[1:])
