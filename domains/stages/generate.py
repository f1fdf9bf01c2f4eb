"""Stage: sample one shard of a set, with any denoiser."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from domains.config import UNMODELLED, Generate, RunConfig, SampleSet, load_config
from domains.errors import FewstepError

if TYPE_CHECKING:
    from torch import Tensor, nn

    from domains.domain import Domain

__all__ = ["generate", "read_index"]

INDEX = "index.csv"
_COLUMNS = ("sample", "length", "seed", "seconds", "network_calls", "file", "sha256")


def generate(
    config: Path, set_name: str, shard: int, output: Path, model: Path | None = None
) -> None:
    """Sample one shard of a set; teacher, student and held-out data by the same command.

    Args:
        config: Run configuration (YAML).
        set_name: Which of its sets.
        shard: Number of the shard, from 0.
        output: Directory of the shard: sample files and index.csv.
        model: Directory of the model; none for the set of held-out data.
    """
    import pandas as pd

    from domains.domain import load_domain
    from domains.provenance import atomic_path, sha256

    settings = load_config(config)
    sample_set = _known(settings, set_name, shard)
    domain = load_domain(settings.domain)
    output.mkdir(parents=True, exist_ok=True)
    # Written last: without it a shard that is being made again does not look finished.
    (output / INDEX).unlink(missing_ok=True)
    numbers = list(settings.generate.shard(shard))
    rows = []
    for sample, facts in _samples(domain, settings, sample_set, numbers, model):
        files = domain.write(sample, output, {"mmcif": settings.generate.mmcif})
        digest = sha256(output / files[0])
        rows.append({**facts, "file": files[0], "sha256": digest})
    table = pd.DataFrame(rows, columns=list(_COLUMNS)).sort_values("sample")
    with atomic_path(output / INDEX) as temporary:
        table.to_csv(temporary, index=False)


def _known(settings: RunConfig, set_name: str, shard: int) -> SampleSet:
    sample_set = settings.sample_set(set_name)
    if not 0 <= shard < settings.generate.shards:
        raise FewstepError(
            "no such shard", expected=f"0 to {settings.generate.shards - 1}", got=shard
        )
    return sample_set


def _samples(
    domain: Domain,
    settings: RunConfig,
    sample_set: SampleSet,
    numbers: list[int],
    model: Path | None,
) -> Iterator[tuple[Any, dict[str, Any]]]:
    """Yield samples and their index rows, batch by batch."""
    from domains.domain import Sample

    plan = settings.generate
    if sample_set.model in UNMODELLED:
        source = domain.held_out if sample_set.model == "data" else domain.decoys
        given = source([plan.size(k) for k in range(plan.count)], settings.seed)
        for number in numbers:
            if number < len(given):
                yield given[number], _row(number, len(given[number].points), 0, 0.0, 0)
        return
    if model is None:
        raise FewstepError(f"the set of {sample_set.model} needs a model", do="Give --model")
    network = domain.load(model).eval()
    for batch in _batches(plan, numbers):
        sizes = [plan.size(number) for number in batch]
        began = time.perf_counter()
        points, calls = _sample(domain, network, sample_set, sizes, batch, settings.seed)
        seconds = (time.perf_counter() - began) / len(batch)
        for row, (number, size) in enumerate(zip(batch, sizes, strict=True)):
            name = f"sample_{number:07d}"
            yield (
                Sample(name, points[row, :size]),
                _row(number, size, settings.seed, seconds, calls),
            )


def _row(number: int, size: int, seed: int, seconds: float, calls: int) -> dict[str, Any]:
    return {
        "sample": number,
        "length": size,
        "seed": seed,
        "seconds": round(seconds, 6),
        "network_calls": calls,
    }


def _batches(plan: Generate, numbers: Sequence[int]) -> Iterator[list[int]]:
    """Yield sample numbers of one size, at most ``batch_points`` points together."""
    for size in sorted({plan.size(number) for number in numbers}):
        same = [number for number in numbers if plan.size(number) == size]
        most = max(1, plan.batch_points // size)
        for start in range(0, len(same), most):
            yield same[start : start + most]


def _sample(
    domain: Domain,
    network: nn.Module,
    sample_set: SampleSet,
    sizes: list[int],
    numbers: list[int],
    seed: int,
) -> tuple[Tensor, int]:
    """Return the points of a batch and the number of network calls per sample."""
    import torch

    from domains.distillation.noise import SampleNoise, generator
    from domains.distillation.sampler import SDE, integrate, renoise
    from domains.distillation.schedule import sampling_times

    device = "cuda" if torch.cuda.is_available() else "cpu"
    network, sampler = network.to(device), sample_set.sampler
    process, batch = domain.process(network), domain.blank(sizes).to(device)
    sources = [generator(seed, "sample", number) for number in numbers]
    noise = SampleNoise(sources, sizes, device)
    if sampler.kind == "renoise":
        times = process.times(sampler.steps)
        steps = renoise(network, process, batch, times, noise, sampler.noise_scale)
    else:
        times = sampling_times(sampler.grid, sampler.steps, sampler.grid_power)
        sde = SDE(sampler.noise_scale, sampler.diffusion) if sampler.kind == "sde" else None
        steps = integrate(network, process, batch, times, noise, sde, sampler.self_conditioning)
    points, calls = None, 0
    with torch.inference_mode():
        for step in steps:
            points, calls = step.points, calls + 1
    if points is None or not torch.isfinite(points).all():
        bad = "no points" if points is None else "NaN or infinite coordinates"
        raise FewstepError(
            f"sampling with {sample_set.model} ended in {bad}",
            do="Check the model; a smaller noise scale or more steps may help",
        )
    return process.target(points, batch).cpu(), calls


def read_index(shard: Path) -> Any:
    """Read a shard's table and check that its files are the ones it lists.

    Raises:
        FewstepError: A file is missing or damaged: the shard has to be sampled again.
    """
    import pandas as pd

    from domains.provenance import sha256

    try:
        table = pd.read_csv(shard / INDEX)
        recorded = zip(table["file"], table["sha256"], strict=True)
        damaged = [file for file, digest in recorded if sha256(shard / file) != digest]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise FewstepError(f"shard {shard} is incomplete", got=error, do=_AGAIN) from error
    if damaged:
        raise FewstepError(f"shard {shard} is damaged", got=damaged[0], do=_AGAIN)
    return table


_AGAIN = "Delete this directory and run the workflow again: only it is sampled"
