"""Stage: keep what passed the gates and is distinct, from all shards of a set in their order."""

from __future__ import annotations

import csv
import hashlib
import logging
import shutil
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from domains.config import RunConfig, load_config
from domains.errors import FewstepError
from domains.stages.sift import check_screened, clock

if TYPE_CHECKING:
    from domains.evaluation.screening.gate import Distinct
    from domains.evaluation.screening.ledger import Ledger
    from domains.field import Field

__all__ = ["screen"]

_log = logging.getLogger(__name__)
_SAID_EVERY = 60.0  # seconds
_DECIDED = ("sample", "same", "nearest", "nearest_to", "seconds")
_OF_THE_WAY = ("gate", "failed", "designs")


def screen(
    config: Path, set_name: str, samples: Path, sifted: Path, state: Path, output: Path
) -> None:
    """Keep the samples that passed all gates and are like none kept before, by their numbers.

    Shards are read row by row; in memory are the kept samples only. After a cut the same command
    goes on where it was.

    Args:
        config: Run configuration (YAML).
        set_name: Which of its sets.
        samples: Directory of the set's shards.
        sifted: Directory of the shards' sifted tables.
        state: Directory of what is decided so far.
        output: Directory of kept.csv, structures, kept.fasta and screen.json.

    Raises:
        FewstepError: The run has no screen, or a shard is not sifted.
    """
    settings = load_config(config)
    check_screened(settings, set_name)

    from domains.capabilities import Screening, capability
    from domains.evaluation.screening.ledger import Ledger
    from domains.evaluation.screening.sifted import header_of
    from domains.field import load_field
    from domains.files.lock import exclusive
    from domains.files.provenance import atomic_directory, write_json

    field = load_field(settings.domain).with_data(settings.located_data)
    gate = capability(field, Screening, "has no gates").distinct(settings)
    shards = range(settings.plan(set_name).shards)
    tables = [sifted / f"shard_{k:04d}.csv" for k in shards]
    header = header_of(tables)
    with exclusive(state):
        _make_room(output)
        path = state / f"decided.{_key(gate, tables)}.csv"
        with Ledger(path, _DECIDED) as ledger, atomic_directory(output) as scratch:
            facts = _keep(tables, header, _Decisions(field, gate, ledger, samples), scratch)
            write_json(scratch / "screen.json", _facts(settings, set_name, gate) | facts)
        path.unlink()


def _make_room(output: Path) -> None:
    """Move an earlier screen aside; refuse what is none.

    Raises:
        FewstepError: There is something else in its place.
    """
    from domains.files.aside import put_aside

    if (output / "screen.json").is_file():
        _log.warning("the earlier screen is now %s", put_aside(output, "earlier"))
    elif output.is_dir() and not any(output.iterdir()):
        output.rmdir()
    elif output.exists():
        raise FewstepError(f"there is something else in {output}", do="Name another place")


def _key(gate: Distinct | None, tables: Sequence[Path]) -> str:
    """Return a name for all that decides: another gate or other tables begin anew."""
    from domains.files.provenance import sha256

    words = [gate.tool if gate else "", *map(sha256, tables)]
    return hashlib.sha256("\n".join(words).encode()).hexdigest()[:16]


class _Decisions:
    """Which samples are like one kept before; those that a cut left are not computed again."""

    def __init__(self, field: Field, gate: Distinct | None, ledger: Ledger, samples: Path):
        self.field, self.gate, self.ledger, self.samples = field, gate, ledger, samples
        self._earlier = ledger.rows()
        self._kept: list[int] = []
        self._now = clock()

    def on(self, row: dict[str, str]) -> dict[str, str]:
        """Return what is decided on the sample of a sifted row, and remember it if it is kept."""
        decided = next(self._earlier, None) or self._decide(row)
        if decided["sample"] != row["sample"]:
            raise FewstepError(
                f"{self.ledger.path} is of another screen",
                expected=f"sample {row['sample']}",
                got=decided["sample"],
                do="Delete it and run the command again",
            )
        if decided["same"] == "0":
            self._kept.append(int(row["sample"]))
            if self.gate:
                self.gate.keep(self._read(row))
        return decided

    def _read(self, row: dict[str, str]) -> Any:
        return self.field.read(self.samples / row["shard"] / row["file"])

    def _decide(self, row: dict[str, str]) -> dict[str, str]:
        began, likeness, place, same = self._now(), float("nan"), -1, False
        if self.gate:
            likeness, place = self.gate.nearest(self._read(row))
            same = self.gate.is_same(likeness)
        decided = {
            "sample": row["sample"],
            "same": str(int(same)),
            "nearest": repr(likeness),
            "nearest_to": str(self._kept[place]) if place >= 0 else "",
            "seconds": f"{self._now() - began:.6f}",
        }
        self.ledger.add(decided)
        return decided


def _keep(
    tables: Sequence[Path], header: Sequence[str], decisions: _Decisions, output: Path
) -> dict[str, Any]:
    """Write the kept samples, and return the counts of the funnel."""
    from domains.evaluation.screening.funnel import DISTINCT, Funnel
    from domains.evaluation.screening.sifted import gates_in, rows_of

    names = gates_in(header)
    funnel = Funnel([*names, *([DISTINCT] if decisions.gate else [])])
    (output / "structures").mkdir()
    columns = [name for name in header if name not in _OF_THE_WAY]
    told = time.monotonic()
    with (
        (output / "kept.csv").open("w", newline="", encoding="utf-8") as table,
        (output / "kept.fasta").open("w", encoding="utf-8") as fasta,
    ):
        writer = csv.writer(table, lineterminator="\n")
        writer.writerow([*columns, "nearest_kept_tm"])
        for row in rows_of(tables):
            funnel.add(row)
            if not row["gate"]:
                decided = decisions.on(row)
                if decisions.gate:
                    funnel.compare(decided["same"] == "1", float(decided["seconds"]))
                if decided["same"] == "0":
                    funnel.keep()
                    writer.writerow([*(row[name] for name in columns), decided["nearest"]])
                    source = decisions.samples / row["shard"] / row["file"]
                    shutil.copyfile(source, output / "structures" / row["file"])
                    fasta.writelines(_fasta(row))
            funnel.mark()
            if time.monotonic() - told > _SAID_EVERY:
                told = time.monotonic()
                _log.info("%d samples, %d kept", funnel.samples, funnel.kept)
    if not (output / "kept.fasta").stat().st_size:
        (output / "kept.fasta").unlink()
    return funnel.facts()


def _fasta(row: dict[str, str]) -> Iterator[str]:
    """Yield the entries of a sample's designed sequences, best first."""
    for number, design in enumerate(row["designs"].split()):
        score, sequence = design.split(":")
        yield f">{Path(row['file']).stem}_{number} sample={row['sample']} score={score}\n"
        yield f"{sequence}\n"


def _facts(settings: RunConfig, set_name: str, gate: Distinct | None) -> dict[str, Any]:
    from domains.files.provenance import record

    one, wanted = settings.sample_set(set_name), settings.screen
    return record(
        run=settings.name,
        set=set_name,
        label=one.label or one.files or one.model,
        role=one.role,
        seed=settings.seed,
        asked=settings.plan(set_name).count,
        screen=wanted.model_dump(mode="json") if wanted else None,
        distinct_tool=gate.tool if gate else None,
    )
