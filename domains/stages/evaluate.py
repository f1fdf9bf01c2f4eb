"""Stage: measure a set of samples."""

from datetime import UTC, datetime
from math import isnan
from pathlib import Path
from typing import Any

from domains.config import UNMODELLED, Generate, RunConfig, SampleSet, load_config
from domains.errors import FewstepError

__all__ = ["evaluate"]


def evaluate(
    config: Path,
    set_name: str,
    samples: Path,
    output: Path,
    tools: Path | None = None,
    described: Path | None = None,
) -> None:
    """Measure a set: samples.csv, set.csv, set.json, gallery.json.

    Args:
        config: Run configuration (YAML).
        set_name: Which of its sets.
        samples: Directory of the set's shards.
        output: Directory of the tables.
        tools: Directory of fetched tools (ProteinMPNN weights).
        described: File that describe has written, so that this is not computed again.
    """
    settings = load_config(config)
    sample_set = settings.sample_set(set_name)

    from domains.capabilities import Describing, capability
    from domains.evaluation.statistics.table import SAMPLE, SUMMARY, write_table
    from domains.field import load_field
    from domains.files.aside import make_way
    from domains.files.lock import exclusive
    from domains.files.provenance import write_json

    field = load_field(settings.domain).with_data(settings.located_data)
    if described:
        knowing = capability(field, Describing, "describes no references")
        field = knowing.with_described(described)
    plan = settings.plan(set_name)
    made, models = _index(samples, settings, set_name)
    index = _drawn(made, settings, plan)
    files = zip(index["shard"], index["file"], strict=True)
    read = [field.read(samples / shard / file) for shard, file in files]
    measured = field.evaluate(read, settings.evaluate, settings.seed, tools)
    table = _sample_table(settings, sample_set, index, measured.samples)
    summary = _summary(settings, sample_set, table, measured)
    with exclusive(output):
        for name, beginning in _BEGINNINGS.items():
            make_way(output / name, beginning)
        (output / "set.json").unlink(missing_ok=True)
        write_table(output / "samples.csv", table, SAMPLE)
        write_table(output / "set.csv", summary, SUMMARY)
        write_json(output / "gallery.json", field.gallery(read[: settings.evaluate.gallery]))
        facts = _facts(settings, sample_set, index, made, plan)
        write_json(output / "set.json", {**facts, **models})


# How its JSON files begin: others of their names are not replaced (nor tables, by `write_table`).
_BEGINNINGS = {
    "set.json": '{\n "run": ',
    "gallery.json": '{\n "scenes": ',
}


def _index(samples: Path, settings: RunConfig, set_name: str) -> tuple[Any, dict[str, str]]:
    """Return the tables of all shards as one, and the hashes of the models that made them.

    Damaged shards are set aside, which is said; another's stay where they are.
    """
    import pandas as pd

    from domains.stages.shard_identity import check_identities
    from domains.stages.shard_index import check_owned, read_index, set_aside

    parts = enumerate(settings.plan(set_name).parts)
    shards = {samples / f"shard_{k:04d}": part for k, part in parts}
    for shard in shards:  # all of them before any is moved
        check_owned(shard)
    models = check_identities(shards, settings, set_name)
    tables, damaged, do = [], [], "To make it, run the workflow again"
    for shard, numbers in shards.items():
        try:
            tables.append(read_index(shard, numbers).assign(shard=shard.name))
        except FewstepError as error:
            damaged.append(str(error).rstrip("."))
            if shard.exists():
                set_aside(shard)
                do = _AGAIN
    if damaged:
        more = f"; and {len(damaged) - 3} more" if len(damaged) > 3 else ""
        raise FewstepError("; ".join(damaged[:3]) + more, do=do)
    # There can be fewer held-out data than samples: then the last shards are empty.
    index = pd.concat([table for table in tables if len(table)] or tables[:1])
    if index.empty:
        raise FewstepError(f"there is nothing in {samples}", do="Sample the set again")
    return index, models


_AGAIN = "What was there is now in *.damaged; run the workflow again: only this is sampled again"


def _drawn(index: Any, settings: RunConfig, plan: Generate) -> Any:
    """Return at most ``evaluate.most`` samples; sets share their numbers, so they stay paired."""
    import numpy as np

    most = settings.evaluate.most
    if most is None or len(index) <= most:
        return index
    generator = np.random.default_rng([settings.seed, _DRAWN])
    rank = generator.permutation(plan.count)[index["sample"]]
    return index.iloc[np.sort(np.argsort(rank)[:most])]


_DRAWN = 0xE7A1  # parts this draw from others of the seed


def _setting(settings: RunConfig, sample_set: SampleSet) -> dict[str, Any]:
    given = sample_set.model in UNMODELLED
    return {
        "run": settings.name,
        "domain": settings.domain,
        "role": sample_set.role,
        "steps": 0 if given else sample_set.sampler.steps,
        "noise_scale": float("nan") if given else sample_set.sampler.noise_scale,
    }


def _sample_table(settings: RunConfig, sample_set: SampleSet, index: Any, measured: Any) -> Any:
    """Join what was sampled with what was measured."""
    from domains.evaluation.statistics.measured import COSTS

    keys = index[["seed", "sample"]].reset_index(drop=True)
    facts = index[["file", "shard", *COSTS]].reset_index(drop=True)
    table = keys.join(measured.reset_index(drop=True)).join(facts)
    for position, (name, value) in enumerate(_setting(settings, sample_set).items()):
        table.insert(position, name, value)
    return table


def _summary(settings: RunConfig, sample_set: SampleSet, table: Any, measured: Any) -> Any:
    import pandas as pd

    from domains.evaluation.statistics.measured import COSTS
    from domains.evaluation.statistics.table import Setting, set_row, summarise

    setting = Setting(**_setting(settings, sample_set), seeds=(settings.seed,))
    per_sample = [*measured.metrics]
    if sample_set.model not in UNMODELLED:
        per_sample += COSTS
    rows = summarise(
        table,
        per_sample,
        setting,
        measured.tools,
        settings.seed,
        shares=measured.shares,
        drawn=measured.drawn,
    )
    of_set = [set_row(setting, m.name, m.interval, m.n, m.tool) for m in measured.of_set]
    return pd.concat([rows, pd.DataFrame(of_set, columns=rows.columns)]) if of_set else rows


def _facts(
    settings: RunConfig, sample_set: SampleSet, index: Any, made: Any, plan: Generate
) -> dict[str, Any]:
    from domains.files.provenance import record

    setting = _setting(settings, sample_set)
    if isnan(setting["noise_scale"]):  # given samples have none, a searched schedule has many
        setting["noise_scale"] = None
    return record(
        **setting,
        label=sample_set.label or sample_set.files or sample_set.model,
        model=sample_set.model,
        sampler=sample_set.sampler.kind,
        seeds=[settings.seed],
        n=len(index),
        made=len(made),
        skipped=plan.count - len(made),
        # What another program took is not known.
        seconds_per_sample=None if sample_set.files else float(made["seconds"].mean()),
        network_calls=int(made["network_calls"].max()),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
    )
