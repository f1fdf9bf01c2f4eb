"""Make training data of a teacher's own re-noised samples: they are sharper than its flow.

Re-noising with many steps draws chains to the modes of a teacher's distribution: bonds are whole
and sequences fit better, but helices are too many and folds fewer. A teacher trained on such
chains (`data: {path: …}`, `pretrain: {start: …}`) has them at noise scale 1, where score
distillation looks.

    python -m studies.sharpen_teacher MODEL sharp.npz --count 1360 --steps 64 --noise-scale 0.8
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from domains.batch import Request
from domains.distillation.noise import SampleNoise, generator
from domains.distillation.sampling.sampler import last, renoise
from domains.field import load_field
from domains.protein.data.dataset import save_domains

BATCH = 24
LENGTHS = (40, 80)
KEY = (123, "sharp")
UNLABELLED = "x.x.x.x"
PACKED_PER_NM = 1000


def chains(model: Path, sizes: list[int], steps: int, noise_scale: float) -> list[np.ndarray]:
    """Sample one chain of each size, nm, by numbers that depend on its place only."""
    field = load_field("protein")
    network = field.load(model).eval()
    process, made = field.process(network), []
    for start in tqdm(range(0, len(sizes), BATCH), unit="batch"):
        part = sizes[start : start + BATCH]
        batch = field.blank([Request(str(k), size) for k, size in enumerate(part)])
        sources = [generator(*KEY, start + k) for k in range(len(part))]
        noise = SampleNoise(sources, part)
        with torch.inference_mode():
            times = process.times(steps)
            points = last(renoise(network, process, batch, times, noise, noise_scale))
            points = process.target(points, batch)
        made += [points[k, :size].double().numpy() for k, size in enumerate(part)]
    return made


def pack(path: Path, made: list[np.ndarray]) -> None:
    """Write chains as a set of unlabelled training domains."""
    positions = np.concatenate([chain - chain.mean(0) for chain in made]) * PACKED_PER_NM
    lengths = [len(chain) for chain in made]
    built = {
        "positions": np.round(positions).astype(np.int64),
        "lengths": np.array(lengths),
        "ids": np.array([f"s{k:06d}" for k in range(len(made))]),
        "cath": np.array([UNLABELLED] * len(made)),
        "split": np.zeros(len(made), dtype=np.int64),
        "sequences": np.array("A" * sum(lengths)),
    }
    save_domains(path, built)


def main() -> None:
    """Sample and pack."""
    parser = argparse.ArgumentParser(description="Training data of a teacher's own samples")
    parser.add_argument("model", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--count", type=int, default=1360)
    parser.add_argument("--steps", type=int, default=64)
    parser.add_argument("--noise-scale", type=float, default=0.8)
    given = parser.parse_args()
    torch.set_num_threads(1)
    rng = np.random.default_rng(7)
    sizes = rng.integers(LENGTHS[0], LENGTHS[1] + 1, given.count)
    pack(given.output, chains(given.model, sorted(sizes.tolist()), given.steps, given.noise_scale))


if __name__ == "__main__":
    main()
