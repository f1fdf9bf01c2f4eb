"""Command: what of a run is done, runs or has failed, from its files alone."""

import json as json_module
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from domains.config import PRETRAIN, Generate, RunConfig, load_config
from domains.errors import FewstepError
from domains.monitoring.parts import STATES, Part
from domains.monitoring.progress import sampling, training
from domains.monitoring.text import duration, plain, table

__all__ = ["status"]

_RESULTS = Path("results")
_HEADER = ("stage", "of", "state", "done", "speed", "time left", "last sign")


def status(run: Path | None = None, json: bool = False) -> None:
    """Show what of a run is done, runs or has failed, how fast it goes and how long it takes.

    Args:
        run: Directory of the run, such as results/protein_demo; that started last if not given.
        json: Print JSON instead of a table.
    """
    directory = run or _latest()
    settings = load_config(directory / "config.json")
    rows = list(_rows(settings, directory))
    states = Counter(state for row in rows for state in row["parts"].elements())
    if json:
        facts = [{**row, "parts": dict(row["parts"])} for row in rows]
        content = {"run": settings.name, "directory": str(directory), "jobs": dict(states)}
        print(json_module.dumps({**content, "stages": facts}, indent=1, allow_nan=False))
        return
    summary = ", ".join(f"{states[state]} {state}" for state in reversed(STATES) if states[state])
    print(plain(f"{settings.title or settings.name} ({directory}): {summary}"), end="\n\n")
    print(table(_HEADER, [_cells(row) for row in rows]), end="\n\n")
    for line in _details(rows):
        print(plain(line))


def _latest() -> Path:
    """Return the directory of the run that started last."""
    found = list(_RESULTS.glob("*/config.json"))
    if not found:
        raise FewstepError(
            f"there is no run in {_RESULTS.absolute()}",
            do="Give --run, or go to the directory that snakemake was started in",
        )
    return max(found, key=lambda path: path.stat().st_mtime).parent


def _rows(settings: RunConfig, run: Path) -> Iterator[dict[str, Any]]:
    """Yield one row per stage and model or set, in the order of the workflow."""
    logs = run / "logs"
    if settings.data.is_simulated:
        work = run / "streets"
        parts = [Part(one, logs / "simulate.log", work) for one in settings.data.simulated(work)]
        yield _row("simulate", "", parts)
    teacher, state = run / "teacher/model.json", run / "state/teacher"
    if settings.teacher == PRETRAIN and settings.pretrain is not None:
        progress = training(state, settings.pretrain.fit)
        yield _row("pretrain", "", [Part(teacher, logs / "pretrain.log", state)], progress)
    else:
        yield _row("prepare", "", [Part(teacher, logs / "prepare_teacher.log", teacher.parent)])
    if settings.needs_weaker:
        weaker = run / "weaker/model.json"
        part = Part(weaker, logs / "prepare_weaker.log", weaker.parent)
        yield _row("prepare", "weaker", [part])
    for name, student in settings.students.items():
        product, state = run / "students" / name / "model.json", run / "state" / name
        part = Part(product, logs / f"distill_{name}.log", state)
        yield _row("distill", name, [part], training(state, student.fit))
    if settings.sets and settings.reference_sizes:
        described = run / "references.json"
        yield _row("describe", "", [Part(described, logs / "describe.log", described)])
    for name, sample_set in settings.sets.items():
        if sample_set.sampler.kind == "tuned":
            found = run / "tuned" / f"{name}.json"
            yield _row("tune", name, [Part(found, logs / f"tune_{name}.log", found)])
        yield _sampled(settings, run, name)
        samples, evaluation = run / "samples" / name, run / "evaluation" / name
        merged = Part(samples / "index.csv", logs / f"merge_{name}.log", samples)
        yield _row("merge", name, [merged])
        measured = Part(evaluation / "set.json", logs / f"evaluate_{name}.log", evaluation)
        yield _row("evaluate", name, [measured])
        if name in settings.screened:
            yield from _screened(settings, run, name)
    if settings.sets:
        yield _row("report", "", [Part(run / "results.csv", logs / "report.log", run / "report")])


def _sampled(settings: RunConfig, run: Path, name: str) -> dict[str, Any]:
    """Return the row of a set's shards."""
    plan = _plan(settings, name)
    shards = [run / "samples" / name / f"shard_{k:04d}" for k in range(plan.shards)]
    parts = [
        Part(shard / "index.csv", run / f"logs/generate_{name}_{k:04d}.log", shard)
        for k, shard in enumerate(shards)
    ]
    return _row("generate", name, parts, sampling(shards, plan.count))


def _plan(settings: RunConfig, name: str) -> Generate:
    """Return a set's plan; the run's where the set's files can't be seen from here."""
    try:
        return settings.plan(name)
    except FewstepError:
        return settings.generate


def _screened(settings: RunConfig, run: Path, name: str) -> Iterator[dict[str, Any]]:
    """Yield the rows of a set's gates."""
    place, logs = run / "screening" / name, run / "logs"
    shards = [f"{k:04d}" for k in range(_plan(settings, name).shards)]
    parts = [
        Part(
            place / f"sifted/shard_{k}.csv",
            logs / f"sift_{name}_{k}.log",
            place / f"state/shard_{k}",
        )
        for k in shards
    ]
    yield _row("sift", name, parts)
    kept = run / "screened" / name / "screen.json"
    yield _row("screen", name, [Part(kept, logs / f"screen_{name}.log", place / "state")])


def _row(
    stage: str, name: str, parts: list[Part], progress: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Summarise the jobs of a stage for one model or set."""
    states = Counter(part.state for part in parts)
    state = next((known for known in STATES if states[known]), "waiting")
    signs = [part.sign for part in parts if part.state not in ("waiting", "done")]
    last = max((sign for sign in signs if sign is not None), default=None)
    facts = {
        "stage": stage,
        "name": name,
        "state": state,
        "parts": states,
        "done": states["done"],
        "of": len(parts),
        "seconds_since_sign": None if last is None else max(0.0, time.time() - last),
        "errors": [part.error for part in parts if part.state == "failed"],
    }
    if state != "running":
        progress = {k: v for k, v in (progress or {}).items() if k != "seconds_left"}
    return facts | (progress or {})


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    """Return a row of the table for people."""
    unit, speed = row.get("unit", ""), row.get("speed")
    return (
        row["stage"],
        row["name"],
        row["state"],
        f"{row['done']}/{row['of']} {unit}".strip() if row["of"] > 1 else "",
        f"{speed:.3g} {'samples' if unit == 'shards' else unit}/s" if speed else "",
        duration(row.get("seconds_left")),
        f"{duration(row['seconds_since_sign'])} ago" if row["seconds_since_sign"] else "",
    )


def _details(rows: list[dict[str, Any]]) -> Iterator[str]:
    """Yield lines below the table: samples, last metrics, errors."""
    for row in rows:
        where = f"{row['stage']} {row['name']}".rstrip()
        if row.get("samples") or row.get("skipped"):
            skipped = f", {row['skipped']} skipped" if row["skipped"] else ""
            each = f", {row['seconds_per_sample']:.3g} s each" if row["seconds_per_sample"] else ""
            yield f"{where}: {row['samples']} of {row['asked']} samples{skipped}{each}"
        if row.get("metrics"):
            yield f"{where}: {', '.join(_metric(*pair) for pair in row['metrics'].items())}"
        for error in sorted(set(row["errors"])):
            yield f"{where} failed: {error}"


def _metric(name: str, value: float | None) -> str:
    return f"{name}: {'not finite' if value is None else f'{value:.4g}'}"
