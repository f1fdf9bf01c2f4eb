"""Time and memory of LiDiff's full-width noise predictor and encoder.

One forward pass predicts the noise of n points: a partial scan of n / 10 points is encoded,
and its ten-fold, noisy copy goes through the U-Net. Weights are random. Parts are timed apart:
*maps* (voxels, levels and kernel maps of the noisy points), *nearest* (condition voxel of each
voxel), *encoder* (with its own maps) and *U-Net*. "Products" is the share that the matrix
products alone would take, at the rate that this machine reaches for 4096 x 128 x 128: the rest
is gathering, adding, normalising. How many products there are depends on how far the noise has
spread the points. Every case runs in its own process, whose peak memory is its own.

With one thread the seconds are of the CPU; with more of the clock, so nothing else may run.

    OMP_NUM_THREADS=1 python benchmarks/lidar_network.py --points 20000,180000 --timesteps 60,999
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from domains.lidar.data.scene_sample import farthest_points
from domains.lidar.data.semantic_kitti import open_sequence
from domains.lidar.network import ConditionEncoder, NetworkConfig, NoisePredictor
from domains.lidar.network.blocks import Convolution, DownConvolution, Pointwise, UpConvolution
from domains.lidar.simulator.writer import simulate_sequence
from domains.lidar.sparse import Cloud, Pyramid, SparseTensor, voxelise
from domains.lidar.sparse.pyramid import TorchPyramid

COLUMNS = ("points", "t", "voxels", "maps", "nearest", "encoder", "U-Net", "all", "peak GB")
LEVELS = 5
CHANNELS = 64


@cache
def street(count: int) -> Tensor:
    """Points of a simulated scan, spread evenly, as LiDiff's input is."""
    with tempfile.TemporaryDirectory() as directory:
        simulate_sequence(Path(directory) / "00", seed=0, scans=1, surface=False)
        points = open_sequence(Path(directory) / "00").points(0)
    distance = np.linalg.norm(points, axis=1)
    return torch.from_numpy(farthest_points(points[(distance > 3.5) & (distance < 50)], count))


def sigma(timestep: int) -> float:
    """Noise of LiDiff's schedule, metre."""
    return float(np.sqrt(1 - np.cumprod(1 - np.linspace(3.5e-5, 0.007, 1000))[timestep]))


def spread(partial: Tensor, timestep: int) -> Tensor:
    """Build the network's input at a timestep: ten noisy copies of the partial scan [10m, 3]."""
    copies = partial.repeat(10, 1)
    return copies + sigma(timestep) * torch.randn(copies.shape)


def cloud(points: Tensor, backend: str = "torch") -> Cloud:
    return voxelise(points, torch.zeros(len(points), dtype=torch.long), 0.05, backend)


def seconds_of(run: Callable[[], Any], repeats: int) -> float:
    """Median, after one run to warm up: CPU time of one thread, or wall-clock time of several."""
    clock = time.process_time if torch.get_num_threads() == 1 else time.perf_counter
    run()
    seconds = []
    for _ in range(repeats):
        start = clock()
        run()
        seconds.append(clock() - start)
    return statistics.median(seconds)


def mapped(points: Tensor) -> Cloud:
    """Voxelise and make all kernel maps."""
    made = cloud(points)
    pyramid = made.mean.pyramid
    assert isinstance(pyramid, TorchPyramid)
    for level in range(LEVELS):
        pyramid.neighbours(level)
    for level in range(LEVELS - 1):
        pyramid.children(level)
    return made


def count_products(network: nn.Module, pyramid: Pyramid, run: Callable[[], Any]) -> int:
    """Multiply-adds of the convolutions in one run over the voxels of ``pyramid``."""
    assert isinstance(pyramid, TorchPyramid)
    pairs = [
        1
        + sum(len(pair[0]) for pair in pyramid.neighbours(level).pairs if pair)
        / len(pyramid.voxels(level))
        for level in range(LEVELS)
    ]
    total = 0.0

    def count(module: nn.Module, inputs: tuple[SparseTensor], output: SparseTensor) -> None:
        nonlocal total
        kernel = next(module.parameters())
        rows = max(len(inputs[0].features), len(output.features))
        each = pairs[output.level] if isinstance(module, Convolution) else 1
        total += rows * each * kernel.shape[-2] * kernel.shape[-1]

    kinds = (Convolution, Pointwise, DownConvolution, UpConvolution)
    hooks = [m.register_forward_hook(count) for m in network.modules() if isinstance(m, kinds)]
    run()
    for hook in hooks:
        hook.remove()
    return round(total)


def rate() -> float:
    """Multiply-adds per second of this machine's matrix product."""
    x, w = torch.randn(4096, 128), torch.randn(128, 128)
    return 20 * 4096 * 128**2 / seconds_of(lambda: [x @ w for _ in range(20)], 9)


def measure(partial_file: str, timestep: int, repeats: int, threads: int, bf16: bool) -> dict:
    """Run one case in this process, whose peak memory the simulator must not raise."""
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    config = NetworkConfig()
    encoder, network = ConditionEncoder(config).eval(), NoisePredictor(config).eval()
    partial = torch.load(partial_file)
    noisy = spread(partial, timestep)
    step = torch.tensor([timestep])
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        condition, ready = encoder(cloud(partial)), mapped(noisy)
        pyramid = ready.mean.pyramid
        seconds = {
            "maps": seconds_of(lambda: mapped(noisy), repeats),
            "nearest": seconds_of(
                lambda: find_nearest(mapped(noisy).mean.pyramid, condition), repeats
            ),
            "encoder": seconds_of(lambda: encoder(cloud(partial)), repeats),
        }
        seconds["nearest"] -= seconds["maps"]
        find_nearest(pyramid, condition)
        seconds["U-Net"] = seconds_of(lambda: network(ready, step, condition), repeats)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
        products = count_products(network, pyramid, lambda: network(ready, step, condition))
    sizes = [len(pyramid.voxels(level)) for level in range(LEVELS)]
    seconds["all"] = sum(seconds.values())
    return {"seconds": seconds, "peak": peak, "voxels": sizes, "products": products / rate()}


def convolution_beside_minkowski(points: int, timestep: int, repeats: int) -> str:
    """CPU time of one forward 3x3x3 convolution, its kernel map ready, with both backends."""
    torch.set_num_threads(1)
    noisy, kernel = spread(street(points // 10), timestep), torch.randn(27, CHANNELS, CHANNELS)
    seconds = {}
    for backend in ("torch", "minkowski"):
        mean = cloud(noisy, backend).mean
        features = torch.ones(len(mean.voxels), CHANNELS)
        with torch.inference_mode():
            seconds[backend] = seconds_of(
                lambda m=mean, x=features: m.pyramid.convolve(x, kernel, 0), repeats
            )
    found = ", ".join(f"{backend} {1e3 * value:.1f} ms" for backend, value in seconds.items())
    return f"3x3x3, {CHANNELS} channels, {points} points at t = {timestep}: {found}"


def find_nearest(pyramid: Pyramid, condition: Any) -> None:
    for level in range(LEVELS):
        pyramid.nearest(level, condition.voxels)


def row(points: int, timestep: int, **how: Any) -> str:
    with tempfile.NamedTemporaryFile(suffix=".pt") as file:
        torch.save(street(points // 10), file.name)
        case = {"partial_file": file.name, "timestep": timestep, **how}
        command = [sys.executable, __file__, "--case", json.dumps(case)]
        found = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
    cells = [points, timestep, " ".join(map(str, found["voxels"]))]
    cells += [f"{value:.2f}" for value in found["seconds"].values()]
    cells += [f"{found['peak']:.2f}", f"{found['products'] / found['seconds']['U-Net']:.0%}"]
    return "| " + " | ".join(map(str, cells)) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--case", type=json.loads, help=argparse.SUPPRESS)
    parser.add_argument("--points", default="20000,180000")
    parser.add_argument("--timesteps", default="60,999")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--bf16", action="store_true", help="matrix products in half precision")
    options = parser.parse_args()
    if options.case:
        print(json.dumps(measure(**options.case)))
        return
    how = {"repeats": options.repeats, "threads": options.threads, "bf16": options.bf16}
    header = [*COLUMNS, "products of U-Net"]
    print("| " + " | ".join(header) + " |\n" + "|---" * len(header) + "|")
    for points in map(int, options.points.split(",")):
        for timestep in map(int, options.timesteps.split(",")):
            print(row(points, timestep, **how), flush=True)
            if find_spec("MinkowskiEngine"):
                print(convolution_beside_minkowski(points, timestep, options.repeats), flush=True)


if __name__ == "__main__":
    main()
