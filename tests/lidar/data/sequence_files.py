"""Small sequences in SemanticKITTI's layout, whose sensor's axes are the camera's."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

__all__ = ["POSE", "wall", "write_sequence"]

POSE = "1 0 0 {:.10g} 0 1 0 {:.10g} 0 0 1 {:.10g}"


def wall(count: int = 300, seed: int = 0) -> np.ndarray:
    """Return points 10 to 20 m away, and their intensity."""
    rng = np.random.default_rng(seed)
    angle, distance = rng.uniform(0, 2 * np.pi, count), rng.uniform(10, 20, count)
    xyz = [distance * np.cos(angle), distance * np.sin(angle), rng.uniform(-1.7, 3, count)]
    return np.column_stack([*xyz, rng.uniform(0, 1, count)]).astype("<f4")


def write_sequence(
    directory: Path,
    scans: Sequence[np.ndarray],
    places: Sequence[Sequence[float]],
    names: Sequence[str] | None = None,
) -> Path:
    """Write scans of any number of columns, labels 40 + k of scan k, and poses without turns."""
    names = names or [f"{k:06d}" for k in range(len(scans))]
    for part in ("velodyne", "labels"):
        (directory / part).mkdir(parents=True)
    for k, (name, scan) in enumerate(zip(names, scans, strict=True)):
        scan.astype("<f4").tofile(directory / f"velodyne/{name}.bin")
        np.full(len(scan), 40 + k, "<u4").tofile(directory / f"labels/{name}.label")
    (directory / "poses.txt").write_text("".join(POSE.format(*place) + "\n" for place in places))
    (directory / "calib.txt").write_text(f"Tr: {POSE.format(0, 0, 0)}\n")
    return directory
