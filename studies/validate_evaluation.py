"""Measure what each metric of the protein evaluation can tell from held-out natives, and what not.

The sets have the same lengths, chain by chain: natives of the test split (the reference), the
other half of them, decoys made from the reference, one fold copied, and natives whose labels
were shuffled. All are measured by the evaluation that runs use. A metric *tells* a set if the
95 % intervals of set and reference are apart.

Run from the repository root (about twenty minutes on one thread):

    python -m studies.validate_evaluation --output docs/results/evaluation/results.csv
"""

import argparse
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float

from domains.batch import Sample
from domains.evaluation.report.axis import format_number
from domains.evaluation.statistics.table import (
    SUMMARY,
    Setting,
    read_table,
    set_row,
    summarise,
    write_table,
)
from domains.protein.conditions.folds import condition_of
from domains.protein.conditions.scaffold import draw_motif
from domains.protein.data.dataset import CathDomains, load_domains
from domains.protein.evaluation import measure
from domains.protein.metric_texts import METRICS
from domains.protein.metrics.geometry import decoys
from domains.protein.settings import ProteinEvaluate

Chain = Float[np.ndarray, "n 3"]
LOW, HIGH = 50, 96  # residues; beyond 96 the proxy's limit was not fitted
REFERENCE, RUN = "natives", "evaluation"
DECOYS: dict[str, Callable[[Chain, np.random.Generator], Chain]] = {
    "noised 0.2 Å": lambda x, rng: decoys.noised(x, 0.02, rng),
    "noised 0.5 Å": lambda x, rng: decoys.noised(x, 0.05, rng),
    "noised 1 Å": lambda x, rng: decoys.noised(x, 0.1, rng),
    "noised 2 Å": lambda x, rng: decoys.noised(x, 0.2, rng),
    "mirrored": lambda x, rng: decoys.mirrored(x),
    "torsions ± 10°": lambda x, rng: decoys.torsion_perturbed(x, 10.0, rng),
    "torsions shuffled": lambda x, rng: decoys.torsion_shuffled(x, rng),
    "segments shuffled": lambda x, rng: decoys.segment_shuffled(x, rng),
    "globules": lambda x, rng: decoys.globule(len(x), rng),
    "coils": lambda x, rng: decoys.coil(len(x), rng),
}
_SHORTLIST = 20  # training domains that each chain is aligned to
_COPY_NOISE = 0.005  # nm: keeps bonds in range and differs from a copy in every digit
OTHER, COPIES, LABELS = "other natives", "one fold copied", "labels shuffled"
SETS = (REFERENCE, OTHER, *DECOYS, COPIES, LABELS)


@dataclass(frozen=True)
class Told:
    """A chain, the class that it is asked to be, and the motif that it is asked to hold."""

    name: str
    points: Chain
    code: str
    motif: object

    def like(self, points: Chain) -> "Told":
        """Return another chain with the same condition."""
        return Told(self.name, points, self.code, self.motif)

    def sample(self) -> Sample:
        """Build the sample that the evaluation reads."""
        condition = {**condition_of(self.code), "motif": self.motif}
        return Sample(self.name, torch.from_numpy(self.points).float(), condition)


def natives(domains: CathDomains, count: int, seed: int) -> tuple[list[Told], list[Told]]:
    """Return two halves of natives, the n-th of both of one length.

    Lengths with most domains come first: similarity is measured within a length only.
    """
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(domains))
    pairs: list[tuple[int, int]] = []
    lengths, sizes = np.unique(domains.lengths, return_counts=True)
    for length in lengths[np.argsort(-(sizes // 2), kind="stable")]:
        same = [int(k) for k in order if domains.lengths[k] == length]
        pairs += zip(same[::2], same[1::2], strict=False)
    halves = zip(*pairs[:count], strict=True)
    first, second = ([_told(domains, k, rng) for k in half] for half in halves)
    return first, second


def _told(domains: CathDomains, index: int, rng: np.random.Generator) -> Told:
    points = np.array(domains.points(index), dtype=float)
    return Told(domains.ids[index], points, domains.cath[index][0], draw_motif(points, rng))


def sets(count: int, seed: int) -> Iterator[tuple[str, list[Told]]]:
    """Yield the name and the chains of each set."""
    first, second = natives(load_domains().subset("test", LOW, HIGH), count, seed)
    rng = np.random.default_rng([seed, 1])
    yield REFERENCE, first
    yield OTHER, second
    for name, make in DECOYS.items():
        yield name, [one.like(make(one.points, rng)) for one in first]
    folds = {len(one.points): one for one in reversed(first)}
    chosen = [folds[len(one.points)] for one in first]
    yield COPIES, [one.like(decoys.noised(one.points, _COPY_NOISE, rng)) for one in chosen]
    codes = rng.permutation([one.code for one in first])
    pairs = zip(first, codes, strict=True)
    yield LABELS, [Told(one.name, one.points, str(code), one.motif) for one, code in pairs]


def measured(name: str, chains: Sequence[Told], config: ProteinEvaluate, seed: int) -> pd.DataFrame:
    """Return the summary of a set, as the evaluate stage makes it."""
    role = "data" if name in (REFERENCE, OTHER, LABELS) else "decoys"
    setting = Setting(f"{RUN}/{name}", "protein", role, 0, math.nan, (seed,))
    found = measure([one.sample() for one in chains], config, seed, None)
    rows = [set_row(setting, m.name, m.interval, m.n, m.tool) for m in found.of_set]
    of_chains = summarise(
        found.samples,
        found.metrics,
        setting,
        found.tools,
        seed,
        shares=found.shares,
        drawn=found.drawn,
    )
    return pd.concat([of_chains, pd.DataFrame(rows, columns=of_chains.columns)])


def tables(results: pd.DataFrame) -> str:
    """Write two Markdown tables: the sets that each metric tells from natives, and all values."""
    known = set(results["metric"])
    metrics = [name for name in METRICS if name in known]
    values = {(row.run.split("/")[1], row.metric): row for row in results.itertuples()}
    shown = [name for name in SETS if name in {done for done, _ in values}]
    told = [[_told_apart(values, name, metric) for name in shown[1:]] for metric in metrics]
    cells = [[_cell(values.get((name, metric))) for name in shown] for metric in metrics]
    return f"{_grid(shown[1:], metrics, told)}\n\n{_grid(shown, metrics, cells)}\n"


def _grid(heads: Sequence[str], metrics: Sequence[str], cells: Sequence[Sequence[str]]) -> str:
    lines = [f"| metric | {' | '.join(heads)} |", "|---" * (len(heads) + 1) + "|"]
    pairs = zip(metrics, cells, strict=True)
    return "\n".join([*lines, *(f"| `{name}` | {' | '.join(row)} |" for name, row in pairs)])


def _told_apart(values: Mapping, name: str, metric: str) -> str:
    """Return ▲ or ▼ where the set's interval lies above or below the reference's, else ·."""
    one, native = values.get((name, metric)), values.get((REFERENCE, metric))
    if one is None or native is None or not np.isfinite([one.low, native.low]).all():
        return "–"
    return "▲" if one.low > native.high else "▼" if one.high < native.low else "·"


def _cell(row: object) -> str:
    if row is None or not np.isfinite(row.value):
        return "–"
    ends = f"{format_number(row.low)}, {format_number(row.high)}"
    return f"{format_number(row.value)} ({ends})"


def main() -> None:
    """Measure all sets, or only print the tables of what was measured."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=48, help="chains of each set")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, required=True, help="results (CSV)")
    parser.add_argument("--tables", action="store_true", help="only print those of the output")
    arguments = parser.parse_args()
    if not arguments.tables:
        torch.set_num_threads(1)
        rows = []
        for name, chains in sets(arguments.count, arguments.seed):
            # Labels change only what was asked for.
            models = name != LABELS
            config = ProteinEvaluate(proxy=models, diversity=models, novelty_shortlist=_SHORTLIST)
            rows.append(measured(name, chains, config, arguments.seed))
            write_table(arguments.output, pd.concat(rows), SUMMARY)
            print(f"{name}: {len(chains)} chains, {time.process_time():.0f} s", flush=True)
    print(tables(read_table(arguments.output, SUMMARY)))


if __name__ == "__main__":
    main()
