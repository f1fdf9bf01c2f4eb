"""Stage: send the samples of one shard through the gates that judge each by itself."""

from __future__ import annotations

import hashlib
import json
import logging
import math
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from domains.config import RunConfig, load_config
from domains.errors import FewstepError
from domains.evaluation.screening.sifted import FIRST

if TYPE_CHECKING:
    from domains.batch import Sample
    from domains.evaluation.screening.gate import Gate

__all__ = ["check_screened", "clock", "sift"]

_log = logging.getLogger(__name__)
_SAID_EVERY = 60.0  # seconds


def sift(
    config: Path,
    set_name: str,
    shard: int,
    samples: Path,
    state: Path,
    output: Path,
    tools: Path | None = None,
) -> None:
    """Measure a shard's samples gate by gate until one fails; a row for each sample.

    What is measured is on disk at once: after a cut the same command goes on where it was.

    Args:
        config: Run configuration (YAML).
        set_name: Which of its sets.
        shard: Number of the shard, from 0.
        samples: Directory of the shard.
        state: Directory of what is measured so far.
        output: Table with a row for each sample: how far it came, measures, seconds (CSV).
        tools: Directory of fetched tools (ProteinMPNN weights).

    Raises:
        FewstepError: The run has no screen, or the shard is damaged.
    """
    settings = load_config(config)
    check_screened(settings, set_name)

    from domains.capabilities import Screening, capability
    from domains.evaluation.screening.ledger import Ledger
    from domains.field import load_field
    from domains.files.aside import make_way
    from domains.files.lock import exclusive
    from domains.files.provenance import atomic_path
    from domains.stages.shard_index import INDEX, read_index

    field = load_field(settings.domain).with_data(settings.located_data)
    numbers = settings.plan(set_name).shard(shard)
    with exclusive(state):
        index = read_index(samples, numbers)
        gates = capability(field, Screening, "has no gates").gates(settings, tools)
        path = state / f"sifted.{_key(settings, gates, samples / INDEX)}.csv"
        make_way(output, ",".join(FIRST))
        with Ledger(path, _columns(gates)) as ledger:
            done = {row["sample"] for row in ledger.rows()}
            told, now = time.monotonic(), clock()
            for count, row in enumerate(index.to_dict("records")):
                if str(row["sample"]) in done:
                    continue
                made = {**row, "shard": samples.name, "sampling_seconds": row["seconds"]}
                ledger.add({**made, **_judged(field.read(samples / row["file"]), gates, now)})
                if time.monotonic() - told > _SAID_EVERY:
                    told = time.monotonic()
                    _log.info("%d of %d samples are judged", count + 1, len(index))
        with atomic_path(output) as temporary:
            temporary.write_bytes(path.read_bytes())
        path.unlink()


def check_screened(settings: RunConfig, set_name: str) -> None:
    """Refuse a set that the run does not screen.

    Raises:
        FewstepError: It does not.
    """
    if set_name not in settings.screened:
        raise FewstepError(
            f"the run does not screen the set {set_name}",
            expected=" or ".join(settings.screened) or "a section screen",
            do="Add it to screen.sets",
        )


def _key(settings: RunConfig, gates: list[Gate], index: Path) -> str:
    """Return a name for all that decides the rows: other settings, tools or samples begin anew."""
    from domains.files.provenance import sha256

    screen = settings.screen.model_dump(mode="json", exclude={"sets"}) if settings.screen else None
    facts = [screen, settings.seed, [gate.tool for gate in gates], sha256(index)]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]


def clock() -> Callable[[], float]:
    """Return a clock of the work done: CPU seconds, or where a GPU does it seconds that pass."""
    import torch

    return time.perf_counter if torch.cuda.is_available() else _cpu_seconds


def _cpu_seconds() -> float:
    """Return the CPU time of this process and of the programs that it has called."""
    times = os.times()
    return time.process_time() + times.children_user + times.children_system


def _columns(gates: list[Gate]) -> list[str]:
    measures = [name for gate in gates for name in gate.columns]
    return [*FIRST, *measures, *(f"{gate.name}_seconds" for gate in gates), "designs"]


def _judged(sample: Sample, gates: list[Gate], now: Callable[[], float]) -> Mapping[str, Any]:
    """Return the rest of a sample's row; designs are there where it passed all gates."""
    row, designs = dict[str, Any](gate="", failed="", designs=""), ""
    for gate in gates:
        began = now()
        verdict = gate.judge(sample)
        row |= {name: _number(value) for name, value in verdict.measures.items()}
        row[f"{gate.name}_seconds"] = round(now() - began, 6)
        designs = " ".join(f"{d.score:.4f}:{d.sequence}" for d in verdict.designs) or designs
        if verdict.failed:
            return row | {"gate": gate.name, "failed": verdict.failed}
    return row | {"designs": designs}


def _number(value: float) -> str:
    return "nan" if math.isnan(value) else repr(float(value))
