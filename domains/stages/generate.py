"""Stage: sample one shard of a set, with any denoiser."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from domains.config import UNMODELLED, RunConfig, SampleSet, load_config
from domains.errors import FewstepError
from domains.stages.shard_index import COLUMNS, INDEX, SKIPPED

if TYPE_CHECKING:
    from torch import nn

    from domains.batch import Request, Sample
    from domains.field import Field

__all__ = ["generate"]

_log = logging.getLogger(__name__)


def generate(
    config: Path,
    set_name: str,
    shard: int,
    output: Path,
    model: Path | None = None,
    weaker: Path | None = None,
    sampler: Path | None = None,
) -> None:
    """Sample one shard of a set; models, held-out data and given files by the same command.

    Args:
        config: Run configuration (YAML).
        set_name: Which of its sets.
        shard: Number of the shard, from 0.
        output: Directory of the shard: sample files and index.csv.
        model: Directory of the model; none for sets of held-out data, decoys or files.
        weaker: Directory of the weaker model, for autoguidance.
        sampler: File that tune has written, for a set of which the sampler is tuned.
    """
    import pandas as pd

    from domains.field import load_field
    from domains.files.aside import make_way
    from domains.files.lock import exclusive
    from domains.files.provenance import atomic_path, sha256
    from domains.memory import peak_memory

    settings = load_config(config)
    sample_set = _settled(_known(settings, set_name, shard), sampler)
    field = load_field(settings.domain).with_data(settings.located_data)
    numbers = list(settings.plan(set_name).shard(shard))
    with exclusive(output):
        for name, columns in COLUMNS.items():
            make_way(output / name, ",".join(columns[:2]))
        # Written last: without it a shard that is being made again does not look finished.
        (output / INDEX).unlink(missing_ok=True)
        rows = []
        skipped: dict[int, str] = {}
        models = model, weaker
        for sample, facts in _samples(field, settings, sample_set, numbers, models, skipped):
            files = field.write(sample, output, {"formats": settings.generate.formats})
            digest = sha256(output / files[0])
            rows.append({**facts, "file": files[0], "sha256": digest})
        _list_skipped(output / SKIPPED, skipped)
        table = pd.DataFrame(rows, columns=COLUMNS[INDEX]).sort_values("sample")
        table["memory_gb"] = round(peak_memory(), 3)
        with atomic_path(output / INDEX) as temporary:
            table.to_csv(temporary, index=False)


def _list_skipped(path: Path, skipped: dict[int, str]) -> None:
    """Name the samples that could not be made, and why; the others are made all the same."""
    import pandas as pd

    from domains.files.provenance import atomic_path

    path.unlink(missing_ok=True)
    if not skipped:
        return
    for number, reason in skipped.items():
        _log.warning("sample %d is skipped: %s", number, reason)
    with atomic_path(path) as temporary:
        table = pd.DataFrame(skipped.items(), columns=COLUMNS[SKIPPED])
        table.to_csv(temporary, index=False)


def _known(settings: RunConfig, set_name: str, shard: int) -> SampleSet:
    sample_set = settings.sample_set(set_name)
    shards = settings.plan(set_name).shards
    if not 0 <= shard < shards:
        raise FewstepError("no such shard", expected=f"0 to {shards - 1}", got=shard)
    return sample_set


def _settled(sample_set: SampleSet, sampler: Path | None) -> SampleSet:
    """Return the set with the sampler that was found for it, if one was searched for."""
    from domains.stages.tune import read_sampler

    if sample_set.sampler.kind != "tuned":
        return sample_set
    if sampler is None:
        raise FewstepError("the set's sampler is tuned", do="Run fewstep tune, give --sampler")
    return sample_set.model_copy(update={"sampler": read_sampler(sampler)})


def _samples(
    field: Field,
    settings: RunConfig,
    sample_set: SampleSet,
    numbers: list[int],
    models: tuple[Path | None, Path | None],
    skipped: dict[int, str],
) -> Iterator[tuple[Sample, dict[str, Any]]]:
    """Yield samples and their index rows, batch by batch; note those that can't be made."""
    from domains.batch import Request, Sample
    from domains.capabilities import HeldOut, capability
    from domains.stages.sampling import Sampling, batches

    plan, seed = settings.generate, settings.seed
    if sample_set.files is not None:
        for number, sample in _adopted(field, sample_set, numbers, skipped):
            yield sample, _row(number, len(sample.points), 0, 0.0, 0)
        return
    if sample_set.model in UNMODELLED:
        known = capability(field, HeldOut, "has no held-out data")
        source = known.held_out if sample_set.model == "data" else known.decoys
        for number, sample in source(plan, numbers, seed).items():
            sample = _thinned(sample, sample_set.points, number)
            yield sample, _row(number, len(sample.points), 0, 0.0, 0)
        return
    network, weaker = _loaded(field, sample_set, *models)
    sampling = Sampling(field, network, sample_set, seed, weaker, plan.precision)
    requests: dict[int, Request] = {}
    answers = field.requests(plan, numbers, network, seed)
    for number, request in zip(numbers, answers, strict=True):
        if isinstance(request, Request):
            requests[number] = request
        else:
            skipped[number] = str(request)
    for batch in batches(plan, {number: request.size for number, request in requests.items()}):
        for number, made in sampling.samples({k: requests[k] for k in batch}).items():
            name = requests[number].name
            if isinstance(made, FewstepError):
                skipped[number] = str(made)
            elif not len(made.points):
                skipped[number] = f"{name}: the sample has no points that count"
            else:
                row = _row(number, len(made.points), seed, made.seconds, made.calls)
                yield Sample(name, made.points, requests[number].condition), row


def _thinned(sample: Sample, points: int | None, number: int) -> Sample:
    """Return so many of a sample's points, drawn at random, or all if it has no more."""
    import numpy as np
    import torch

    if points is None or len(sample.points) <= points:
        return sample
    rows = np.random.default_rng([number, 0x7417]).permutation(len(sample.points))[:points]
    return replace(sample, points=sample.points[torch.from_numpy(np.sort(rows))])


def _adopted(
    field: Field, sample_set: SampleSet, numbers: list[int], skipped: dict[int, str]
) -> Iterator[tuple[int, Sample]]:
    """Yield the samples in files of another program; note the files that are none."""
    from dataclasses import replace

    from domains.capabilities import Adopting, capability
    from domains.files.given import distinct_names, given_files

    reader = capability(field, Adopting, "reads no samples of other programs")
    paths = given_files(sample_set.files or "")
    names = distinct_names(paths)
    for number in numbers:
        try:
            sample = reader.adopt(paths[number], sample_set.chain)
        except FewstepError as error:
            skipped[number] = str(error)
        else:
            yield number, replace(sample, name=names[number])


def _loaded(
    field: Field, sample_set: SampleSet, model: Path | None, weaker: Path | None
) -> tuple[nn.Module, nn.Module | None]:
    """Return the set's model, and the weaker one where autoguidance needs it."""
    import torch

    from domains.stages.weaker import load_weaker

    if model is None:
        raise FewstepError(f"the set of {sample_set.model} needs a model", do="Give --model")
    device = "cuda" if torch.cuda.is_available() else "cpu"
    network = field.load(model).eval().to(device)
    if not sample_set.sampler.autoguidance:
        return network, None
    return network, load_weaker(field, weaker, network).to(device)


def _row(number: int, size: int, seed: int, seconds: float, calls: int) -> dict[str, Any]:
    return {
        "sample": number,
        "length": size,
        "seed": seed,
        "seconds": round(seconds, 6),
        "network_calls": calls,
    }
