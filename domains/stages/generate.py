"""Stage: sample one shard of a set, with any denoiser."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from domains.config import UNMODELLED, RunConfig, SampleSet, load_config
from domains.errors import FewstepError
from domains.stages.shard_identity import BEGINNING, IDENTITY, identity, with_tables
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

    Each sample of the shard is a row of index.csv, or of skipped.csv with the reason.

    Args:
        config: Run configuration (YAML).
        set_name: Which of its sets.
        shard: Number of the shard, from 0.
        output: Directory of the shard: sample files, tables, and shard.json that says whose it is.
        model: Directory of the model; none for sets of held-out data, decoys or files.
        weaker: Directory of the weaker model, for autoguidance.
        sampler: File that tune has written, for a set of which the sampler is tuned.
    """
    settings = load_config(config)

    from domains.field import load_field
    from domains.files.aside import make_way
    from domains.files.lock import exclusive
    from domains.files.provenance import sha256
    from domains.memory import peak_memory

    sample_set = _settled(_known(settings, set_name, shard), sampler)
    field = load_field(settings.domain).with_data(settings.located_data)
    numbers = settings.plan(set_name).shard(shard)
    with exclusive(output):
        for name, columns in COLUMNS.items():
            make_way(output / name, ",".join(columns[:2]))
        make_way(output / IDENTITY, BEGINNING)
        # Written last: without it a shard that is being made again does not look finished.
        (output / INDEX).unlink(missing_ok=True)
        facts = identity(settings, set_name, numbers)
        facts |= _made_with(settings.sample_set(set_name), model, weaker, sampler)
        rows = []
        skipped: dict[int, str] = {}
        models = model, weaker
        for sample, row in _samples(field, settings, sample_set, numbers, models, skipped):
            files = field.write(sample, output, {"formats": settings.generate.formats})
            digest = sha256(output / files[0])
            rows.append({**row, "file": files[0], "sha256": digest})
        memory = round(peak_memory(), 3)
        tables = _tables([{**row, "memory_gb": memory} for row in rows], skipped)
        _write(output, tables, with_tables(facts, tables))
        _say(skipped, output / SKIPPED)


def _made_with(
    sample_set: SampleSet, model: Path | None, weaker: Path | None, sampler: Path | None
) -> dict[str, str]:
    """Return the hashes of the files that samples of a set are made with, before any is made."""
    from domains.files.provenance import sha256

    if sample_set.model in UNMODELLED:
        return {}
    weights = "model.safetensors"
    used = {
        "model_sha256": model and model / weights,
        "weaker_sha256": weaker and sample_set.sampler.autoguidance and weaker / weights,
        "sampler_sha256": sampler if sample_set.sampler.kind == "tuned" else None,
    }
    return {name: sha256(path) for name, path in used.items() if path and path.is_file()}


def _tables(rows: list[dict[str, Any]], skipped: dict[int, str]) -> dict[str, bytes]:
    """Return the tables of what was made and, if there is any, of what could not be."""
    import pandas as pd

    reasons = [{"sample": number, "reason": reason} for number, reason in skipped.items()]
    contents = {INDEX: rows} | ({SKIPPED: reasons} if reasons else {})
    return {
        name: pd.DataFrame(content, columns=COLUMNS[name])
        .sort_values("sample")
        .to_csv(index=False)
        .encode()
        for name, content in contents.items()
    }


def _write(output: Path, tables: dict[str, bytes], facts: dict[str, Any]) -> None:
    """Write the tables and whose they are; a shard with an index is finished."""
    from domains.files.provenance import atomic_path, write_json

    (output / SKIPPED).unlink(missing_ok=True)
    write_json(output / IDENTITY, facts)
    for name in reversed(tables):
        with atomic_path(output / name) as temporary:
            temporary.write_bytes(tables[name])


def _say(skipped: dict[int, str], path: Path) -> None:
    """Name the first samples that could not be made, and why."""
    for number, reason in list(skipped.items())[:_NAMED]:
        _log.warning("sample %d is skipped: %s", number, reason)
    if len(skipped) > _NAMED:
        _log.warning("%d more are skipped: %s lists them", len(skipped) - _NAMED, path)


_NAMED = 10


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
    numbers: range,
    models: tuple[Path | None, Path | None],
    skipped: dict[int, str],
) -> Iterator[tuple[Sample, dict[str, Any]]]:
    """Yield samples and their index rows, batch by batch; note those that can't be made."""
    from domains.batch import Request, Sample
    from domains.capabilities import HeldOut, capability
    from domains.stages.sampling import Sampling, batches

    plan, seed = settings.generate, settings.seed
    if sample_set.files is not None:
        paths = _given(sample_set.files, settings.reads, numbers)
        for number, sample in _adopted(field, sample_set.chain, paths, numbers, skipped):
            yield sample, _row(number, len(sample.points), 0, 0.0, 0)
        return
    if sample_set.model in UNMODELLED:
        known = capability(field, HeldOut, "has no held-out data")
        source = known.held_out if sample_set.model == "data" else known.decoys
        found = source(plan, numbers, seed)
        for number, sample in found.items():
            sample = _thinned(sample, sample_set.points, number)
            yield sample, _row(number, len(sample.points), 0, 0.0, 0)
        skipped |= {k: "there are no held-out data for it" for k in numbers if k not in found}
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


def _given(place: str, reads: tuple[str, ...], numbers: range) -> list[Path]:
    """Return all files of a set of another program; say once how many others lie beside them."""
    from domains.files.given import given_files

    paths = given_files(place, reads)
    if not numbers.start and (others := len(given_files(place)) - len(paths)):
        _log.info("%d files of other kinds in %s are no samples", others, place)
    return paths


def _adopted(
    field: Field,
    chain: str | None,
    paths: Sequence[Path],
    numbers: range,
    skipped: dict[int, str],
) -> Iterator[tuple[int, Sample]]:
    """Yield the samples in files of another program; note the files that are none."""
    from dataclasses import replace

    from domains.capabilities import Adopting, capability
    from domains.files.given import distinct_names

    reader = capability(field, Adopting, "reads no samples of other programs")
    names = distinct_names(paths)
    for number in numbers:
        try:
            sample = reader.adopt(paths[number], chain)
        except FewstepError as error:
            skipped[number] = str(error)
        else:
            yield number, replace(sample, name=names[number])


def _loaded(
    field: Field, sample_set: SampleSet, model: Path | None, weaker: Path | None
) -> tuple[nn.Module, nn.Module | None]:
    """Return the set's model, and the weaker one where autoguidance needs it."""
    import torch

    from domains.stages.beside import load_weaker

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
