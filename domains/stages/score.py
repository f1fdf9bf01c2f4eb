"""Command: measure structures of any program, beside natives of their lengths, without a YAML."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from domains.errors import FewstepError

if TYPE_CHECKING:
    from domains.config import RunConfig

__all__ = ["score"]

_log = logging.getLogger(__name__)
# Natives that stand beside: enough for intervals that say something.
_MOST_NATIVES = 100
_SHARD = 1000
_BEGINNING = '{\n "name": "score"'  # of its settings


def score(
    structures: Path,
    /,
    chain: str | None = None,
    output: Path = Path("score"),
    proxy: bool = False,
    tools: Path | None = None,
) -> None:
    """Measure structures of any program: a table, results.csv and report.html.

    Args:
        structures: Directory of PDB or mmCIF files, or a pattern such as "out/**/*.pdb" (quoted).
        chain: The chain to measure; needed where structures have several.
        output: A new directory, of the table, the report and what they are made of; an earlier
            score there is moved aside.
        proxy: Measure the designability proxy too: seconds a structure.
        tools: Directory of the ProteinMPNN weights, if they are not in the usual places.

    Raises:
        FewstepError: No structure can be measured.
    """
    from domains.files.aside import begins, put_aside
    from domains.files.fresh import fresh_directory
    from domains.stages.describe import describe
    from domains.stages.evaluate import evaluate
    from domains.stages.generate import generate
    from domains.stages.report import report

    _check_apart(structures, output)
    config = output / "config.json"
    given = {"given": {"files": str(structures), "chain": chain, "label": str(structures)}}
    settings = _settings(given, (100,), proxy)
    settings.plan("given")  # there are files
    if begins(config, _BEGINNING):
        _log.info("the earlier score is now %s", put_aside(output, "earlier"))
    fresh_directory(output)
    _write(config, settings)
    for shard in range(settings.plan("given").shards):
        generate(config, "given", shard, output / f"samples/given/shard_{shard:04d}")
    lengths = _lengths(output / "samples/given", settings)
    natives = {"natives": {"model": "data", "label": "Held-out natives"}}
    settings = _settings({**given, **natives}, lengths, proxy)
    _write(config, settings)
    for shard in range(settings.generate.shards):
        generate(config, "natives", shard, output / f"samples/natives/shard_{shard:04d}")
    described = output / "references.json"
    describe(config, described)
    for name in settings.sets:
        _log.info("measuring %s", settings.sets[name].label)
        places = output / "samples" / name, output / "evaluation" / name
        evaluate(config, name, *places, tools, described)
    report(config, output / "evaluation", output / "report.html", output / "results.csv")
    print(_table([output / "evaluation" / name for name in settings.sets]))
    print(f"\n{output / 'report.html'}, {output / 'results.csv'}")


def _check_apart(structures: Path, output: Path) -> None:
    """Refuse a place under a pattern's: the copies made there would match it, too.

    Raises:
        FewstepError: It is there.
    """
    parts = structures.parts
    fixed = next((k for k, part in enumerate(parts) if part == "**"), None)
    if fixed is not None and output.resolve().is_relative_to(Path(*parts[:fixed]).resolve()):
        raise FewstepError(
            f"the pattern {structures} would match what is written to {output}",
            do="Give an --output elsewhere, such as ../score",
        )


def _settings(sets: dict[str, Any], lengths: tuple[int, ...], proxy: bool) -> RunConfig:
    """Return the settings of a run that measures only; natives get ``lengths``."""
    from domains.config import parse_config

    content = {
        "name": "score",
        "domain": "protein",
        "teacher": "proteina-small",  # samples nothing
        "title": "Structures beside natives",
        "generate": {"lengths": lengths, "shard_size": _SHARD},
        "sets": sets,
        "evaluate": {"proxy": proxy},
    }
    return parse_config(content, "the command line")


def _write(path: Path, settings: RunConfig) -> None:
    from domains.files.provenance import write_text

    write_text(path, settings.model_dump_json(indent=1) + "\n")


def _lengths(samples: Path, settings: RunConfig) -> tuple[int, ...]:
    """Return the lengths of the structures, or of so many evenly drawn from the shortest on."""
    from domains.stages.shard_index import SKIPPED, read_index

    plan, found, skipped = settings.plan("given"), [], 0
    for k in range(plan.shards):
        shard = samples / f"shard_{k:04d}"
        found += read_index(shard, plan.shard(k))["length"].tolist()
        skipped += (shard / SKIPPED).exists()
    if not found:
        raise FewstepError(
            f"none of {plan.count} files is a structure that can be measured",
            do="The lines above say why; where a structure has several chains, give --chain",
        )
    found.sort()
    step = max(1, -(-len(found) // _MOST_NATIVES))
    return tuple(found[step // 2 :: step])


def _table(evaluations: list[Path]) -> str:
    """Return measures as rows and sets as columns, with their 95 % intervals."""
    from domains.config import field_settings
    from domains.evaluation.report.axis import format_number
    from domains.evaluation.statistics.sets import all_metrics, read_set
    from domains.monitoring.text import table

    sets = [read_set(path) for path in evaluations]
    metrics = all_metrics(sets, field_settings("protein").load_metrics())

    def cell(values: tuple[float, float, float]) -> str:
        value, low, high = map(format_number, values)
        return "" if value == "n/a" else f"{value} [{low}, {high}]"

    facts = ["n", *(f"{one.facts['n']} ({one.facts['skipped']} skipped)" for one in sets)]
    # Natives are as long as the structures only where there are natives so long.
    sizes = [(one.samples["length"].min(), one.samples["length"].max()) for one in sets]
    residues = ["Residues", *(f"{low:.0f} to {high:.0f}" for low, high in sizes)]
    rows = [[m.label, *(cell(one.estimate(key)) for one in sets)] for key, m in metrics.items()]
    return table(("", *(one.label for one in sets)), [facts, residues, *rows])
