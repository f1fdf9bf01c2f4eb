"""How close are simulated scans to real ones? Prints a table.

    python studies/lidar_realism.py REAL SIMULATED

Each directory holds sequences with ``velodyne/*.bin``. A sequence weighs the same however many
scans it has. The last column is the yardstick: how far real sequences are from each other.
"""

import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
from scipy.spatial import KDTree
from scipy.spatial.distance import jensenshannon

SCANS = 4
RANGE_EDGES = np.arange(0.0, 81.0)
HEIGHT_EDGES = np.arange(-4.0, 4.01, 0.1)
SPACING_EDGES = np.geomspace(0.003, 3.0, 61)
SHAPE_EDGES = np.linspace(0.0, 1.0, 41)
RINGS = np.arange(0, 81, 10)
BEAMS = 64 * 2083


def read(directory: Path) -> dict[str, list[np.ndarray]]:
    """Return a few evenly chosen scans of each sequence."""
    sequences = {}
    for part in sorted(directory.glob("**/velodyne")):
        files = sorted(part.glob("*.bin"))
        chosen = np.unique(np.linspace(0, len(files) - 1, SCANS).astype(int))
        scans = [np.fromfile(files[i], "<f4").reshape(-1, 4)[:, :3] for i in chosen]
        sequences[part.parent.name] = [scan.astype(float) for scan in scans]
    return sequences


def shapes(scan: np.ndarray, tree: KDTree, rng: np.random.Generator) -> np.ndarray:
    """Compute linearity, planarity and scatter of 20-point neighbourhoods (Demantké 2011)."""
    chosen = scan[rng.choice(len(scan), 4000, replace=False)]
    near = scan[tree.query(chosen, 20)[1]]
    spread = near - near.mean(1, keepdims=True)
    values = np.sqrt(np.linalg.eigvalsh(np.einsum("nki,nkj->nij", spread, spread)).clip(0))
    small, middle, large = values.T
    return np.stack([large - middle, middle - small, small]) / large


def describe(scan: np.ndarray) -> tuple[dict[str, np.ndarray], dict[str, float]]:
    """Return the histograms and the numbers of one scan."""
    rng = np.random.default_rng(0)
    distance, tree = np.linalg.norm(scan, axis=1), KDTree(scan)
    chosen = rng.choice(len(scan), 20_000, replace=False)
    spacing = tree.query(scan[chosen], 2)[0][:, 1]
    _, planar, scattered = shapes(scan, tree, rng)
    cells = len(np.unique(np.floor(scan[distance < 50] / 0.5), axis=0))
    histograms = {
        "range": np.histogram(distance, RANGE_EDGES)[0],
        "height": np.histogram(scan[:, 2], HEIGHT_EDGES)[0],
        "height beyond 15 m": np.histogram(scan[distance > 15, 2], HEIGHT_EDGES)[0],
        "nearest neighbour": np.histogram(spacing, SPACING_EDGES)[0],
        "planarity": np.histogram(planar, SHAPE_EDGES)[0],
        "scattering": np.histogram(scattered, SHAPE_EDGES)[0],
    }
    numbers = {
        "returns, share of beams": len(scan) / BEAMS,
        "range, median, m": np.median(distance),
        "range, 95 %, m": np.quantile(distance, 0.95),
        "height, median, m": np.median(scan[:, 2]),
        "above -1.2 m, share": (scan[:, 2] > -1.2).mean(),
        "nearest neighbour, median, cm": 100 * np.median(spacing),
        "nearest neighbour, 90 %, cm": 100 * np.quantile(spacing, 0.9),
        "planarity, median": np.median(planar),
        "scattering, median": np.median(scattered),
        "scattering, 90 %": np.quantile(scattered, 0.9),
        "occupied 0.5 m voxels, 1000": cells / 1000,
    }
    for low, high in pairwise(RINGS):
        share = ((distance >= low) & (distance < high)).mean()
        numbers[f"points in {low}-{high} m, %"] = 100 * share
    return histograms, numbers


def summary(scans: list[np.ndarray]) -> tuple[dict[str, np.ndarray], dict[str, float]]:
    """Average over the scans of a sequence."""
    described = [describe(scan) for scan in scans]
    histograms, numbers = (
        {key: np.mean([each[part][key] for each in described], 0) for key in described[0][part]}
        for part in (0, 1)
    )
    return {key: value / value.sum() for key, value in histograms.items()}, numbers


def main(real: Path, simulated: Path) -> None:
    """Print one table of distances and one of numbers."""
    a, b = ([summary(scans) for scans in read(path).values()] for path in (real, simulated))
    print("| histogram: Jensen-Shannon distance | simulated to real | real to other real |")
    print("|---|---|---|")
    for key in a[0][0]:
        one, other = (np.stack([each[0][key] for each in side]) for side in (a, b))
        rest = [np.delete(one, i, 0).mean(0) for i in range(len(one))]
        within = [jensenshannon(x, y) for x, y in zip(one, rest, strict=True)]
        between = jensenshannon(one.mean(0), other.mean(0))
        print(f"| {key} | {between:.3f} | {np.mean(within):.3f} |")
    print("\n| number | real (lowest - highest) | simulated (lowest - highest) |\n|---|---|---|")
    for key in a[0][1]:
        columns = [np.array([each[1][key] for each in side]) for side in (a, b)]
        cells = [f"{c.mean():.3g} ({c.min():.3g} - {c.max():.3g})" for c in columns]
        print(f"| {key} | {cells[0]} | {cells[1]} |")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
