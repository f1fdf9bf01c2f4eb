"""Stage: sample one shard of a set, with any denoiser."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from domains.config import UNMODELLED, Generate, RunConfig, SampleSet, load_config
from domains.errors import FewstepError

if TYPE_CHECKING:
    from torch import Tensor, nn

    from domains.distillation.noise import NoiseSource
    from domains.distillation.sampler import Step
    from domains.domain import Batch, Domain, Request, Sample

__all__ = ["generate", "read_index"]

_log = logging.getLogger(__name__)

INDEX, SKIPPED = "index.csv", "skipped.csv"
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
    domain = load_domain(settings.domain).with_data(settings.located_data)
    output.mkdir(parents=True, exist_ok=True)
    # Written last: without it a shard that is being made again does not look finished.
    (output / INDEX).unlink(missing_ok=True)
    numbers = list(settings.generate.shard(shard))
    rows = []
    skipped: dict[int, str] = {}
    for sample, facts in _samples(domain, settings, sample_set, numbers, model, skipped):
        files = domain.write(sample, output, {"formats": settings.generate.formats})
        digest = sha256(output / files[0])
        rows.append({**facts, "file": files[0], "sha256": digest})
    _list_skipped(output / SKIPPED, skipped)
    table = pd.DataFrame(rows, columns=list(_COLUMNS)).sort_values("sample")
    with atomic_path(output / INDEX) as temporary:
        table.to_csv(temporary, index=False)


def _list_skipped(path: Path, skipped: dict[int, str]) -> None:
    """Name the samples that could not be made, and why; the others are made all the same."""
    import pandas as pd

    from domains.provenance import atomic_path

    path.unlink(missing_ok=True)
    if not skipped:
        return
    for number, reason in skipped.items():
        _log.warning("sample %d is skipped: %s", number, reason)
    with atomic_path(path) as temporary:
        table = pd.DataFrame(skipped.items(), columns=["sample", "reason"])
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
    skipped: dict[int, str],
) -> Iterator[tuple[Sample, dict[str, Any]]]:
    """Yield samples and their index rows, batch by batch; note those that can't be made."""
    from domains.domain import Request, Sample

    plan, seed = settings.generate, settings.seed
    if sample_set.model in UNMODELLED:
        source = domain.held_out if sample_set.model == "data" else domain.decoys
        for number, sample in source(plan, numbers, seed).items():
            yield sample, _row(number, len(sample.points), 0, 0.0, 0)
        return
    if model is None:
        raise FewstepError(f"the set of {sample_set.model} needs a model", do="Give --model")
    network = domain.load(model).eval()
    asked: dict[int, Request] = {}
    found = domain.requests(plan, numbers, network, seed)
    for number, request in zip(numbers, found, strict=True):
        if isinstance(request, Request):
            asked[number] = request
        else:
            skipped[number] = str(request)
    for batch in _batches(plan, {number: request.size for number, request in asked.items()}):
        requests = [asked[number] for number in batch]
        began = time.perf_counter()
        points, calls = _sample(domain, network, sample_set, requests, batch, seed)
        seconds = (time.perf_counter() - began) / len(batch)
        for number, request, finished in zip(batch, requests, points, strict=True):
            if not len(finished):
                skipped[number] = f"{request.name}: the sample has no points that count"
                continue
            row = _row(number, len(finished), seed, seconds, calls)
            yield Sample(request.name, finished), row


def _row(number: int, size: int, seed: int, seconds: float, calls: int) -> dict[str, Any]:
    return {
        "sample": number,
        "length": size,
        "seed": seed,
        "seconds": round(seconds, 6),
        "network_calls": calls,
    }


def _batches(plan: Generate, sizes: Mapping[int, int]) -> Iterator[list[int]]:
    """Yield sample numbers of one size, at most ``batch_points`` points together."""
    for size in sorted(set(sizes.values())):
        same = [number for number, other in sizes.items() if other == size]
        most = max(1, plan.batch_points // size)
        for start in range(0, len(same), most):
            yield same[start : start + most]


def _sample(
    domain: Domain,
    network: nn.Module,
    sample_set: SampleSet,
    requests: Sequence[Request],
    numbers: list[int],
    seed: int,
) -> tuple[list[Tensor], int]:
    """Return the finished samples of a batch and the number of network calls per sample."""
    import torch

    from domains.distillation.noise import SampleNoise, generator

    device = "cuda" if torch.cuda.is_available() else "cpu"
    network, process = network.to(device), domain.process(network)
    sources = [generator(seed, "sample", number) for number in numbers]
    noise = SampleNoise(sources, [request.size for request in requests], device)
    points, calls = None, 0
    with torch.inference_mode():
        batch = domain.encode(network, domain.blank(requests).to(device))
        for step in _play(domain, network, sample_set, batch, noise):
            points, calls = step.points, calls + 1
        if points is None or not torch.isfinite(points).all():
            bad = "no points" if points is None else "NaN or infinite coordinates"
            raise FewstepError(
                f"sampling with {sample_set.model} ended in {bad}",
                do="Check the model; a smaller noise scale or more steps may help",
            )
        points = process.target(points, batch)
        finished = [
            domain.finish(network, points[row, : request.size], request, sample_set.refine)
            for row, request in enumerate(requests)
        ]
    guided = sample_set.sampler.guidance != 1.0
    return finished, calls * (1 + guided) + sample_set.refine


def _play(
    domain: Domain, network: nn.Module, sample_set: SampleSet, batch: Batch, noise: NoiseSource
) -> Iterator[Step]:
    """Return the steps of a set's sampler."""
    from domains.distillation.denoiser import Guided
    from domains.distillation.dpm_solver import solve
    from domains.distillation.sampler import SDE, integrate, renoise
    from domains.distillation.schedule import sampling_times

    sampler, process = sample_set.sampler, domain.process(network)
    denoiser = Guided(network, sampler.guidance, domain.unconditional(network))
    if sampler.kind == "renoise":
        times = process.times(sampler.steps)
        return renoise(denoiser, process, batch, times, noise, sampler.noise_scale)
    if sampler.kind == "dpm":
        return solve(denoiser, process, batch, process.times(sampler.steps), noise)
    times = sampling_times(sampler.grid, sampler.steps, sampler.grid_power)
    sde = SDE(sampler.noise_scale, sampler.diffusion) if sampler.kind == "sde" else None
    return integrate(denoiser, process, batch, times, noise, sde, sampler.self_conditioning)


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
