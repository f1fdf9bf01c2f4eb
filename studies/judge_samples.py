"""Judge sets of generated chains at equal composition, beside natives of the same lengths.

The file holds one array per set and length, named SET_LENGTH, of Cα positions [n, m, 3] in nm
with m at least the length (the rest is padding). Natives are held-out domains whose lengths
are within five residues of these.

Run from the repository root (about half a second a chain on one thread):

    python -m studies.judge_samples --samples samples.npz --sets student_8 naive_16 --count 16
"""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from domains.batch import Sample
from domains.evaluation.statistics.bootstrap import Interval, bootstrap_interval
from domains.protein.data.dataset import load_domains
from domains.protein.evaluation import measure
from domains.protein.settings import ProteinEvaluate

NATIVES, LENGTHS = "held-out natives", (50, 60, 70, 80)
_OFF = 5  # residues
COLUMNS = ("helix", "strand", "cross_nll", "nativeness_proxy")
OF_SET = ("relative_cross_nll", "sse_energy_distance", "descriptor_frechet")


def natives(count: int, seed: int = 0) -> list[Sample]:
    """Return up to ``count`` held-out domains near each length, none of them twice."""
    known, rng = load_domains().subset("test"), np.random.default_rng(seed)
    chosen: list[int] = []
    for length in LENGTHS:
        near = np.flatnonzero(np.abs(known.lengths - length) < _OFF)
        chosen += [int(k) for k in rng.permutation(near)[:count]]
    return [Sample(known.ids[k], torch.from_numpy(known.points(k).copy())) for k in chosen]


def generated(path: Path, name: str, count: int) -> list[Sample]:
    """Return the first ``count`` chains of each length of a set."""
    with np.load(path) as arrays:
        return [
            Sample(f"{name}_{length}_{k}", torch.from_numpy(points[:length].copy()))
            for length in LENGTHS
            for k, points in enumerate(arrays[f"{name}_{length}"][:count])
        ]


def judged(samples: Sequence[Sample], arguments: argparse.Namespace) -> tuple[pd.DataFrame, dict]:
    """Return the rows and the intervals of a set."""
    config = ProteinEvaluate(novelty_shortlist=0, diversity=False, proxy=not arguments.cheap)
    found = measure(samples, config, 0, arguments.weights)
    return found.samples, {one.name: one.interval for one in found.of_set}


def row(name: str, table: pd.DataFrame, of_set: dict[str, Interval], columns: Sequence[str]) -> str:
    """Return a line of the Markdown table."""
    cells = []
    for column in columns:
        values = table[column].to_numpy(float)
        cells.append(_shown(bootstrap_interval(values[np.isfinite(values)])))
    cells += [_shown(of_set[key]) for key in OF_SET if key in of_set]
    related = [f"{table[key].corr(table['helix']):.2f}" for key in columns[2:]]
    return f"| {name} | {len(table)} | {' | '.join(cells)} | {' | '.join(related)} |"


def _shown(interval: Interval) -> str:
    return f"{interval.value:.3f} [{interval.low:.3f}, {interval.high:.3f}]"


def lines(arguments: argparse.Namespace) -> Iterator[str]:
    """Yield the table, as its sets are measured; write the rows of all chains."""
    columns = [name for name in COLUMNS if not (arguments.cheap and name.startswith("cross"))]
    related = [f"r({key}, helix)" for key in columns[2:]]
    of_set = OF_SET[1:] if arguments.cheap else OF_SET
    heads = ["set", "n", *columns, *of_set, *related]
    yield f"| {' | '.join(heads)} |\n{'|---' * len(heads)}|"
    kept = []
    for name in (NATIVES, *arguments.sets):
        own = name == NATIVES
        samples = natives(2 * arguments.count) if own else None
        samples = samples or generated(arguments.samples, name, arguments.count)
        table, measures = judged(samples, arguments)
        kept.append(table.drop(columns="secondary_structure").assign(set=name))
        if arguments.output:
            pd.concat(kept).to_csv(arguments.output, index=False)
        yield row(name, table, measures, columns)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=Path, required=True, help="chains (.npz)")
    parser.add_argument("--sets", nargs="+", default=[], help="names of sets in it")
    parser.add_argument("--count", type=int, default=16, help="chains of a length and set")
    parser.add_argument("--cheap", action="store_true", help="without cross NLL")
    parser.add_argument("--weights", type=Path, help="ProteinMPNN weights")
    parser.add_argument("--output", type=Path, help="rows of all chains (CSV)")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    for line in lines(arguments):
        print(line, flush=True)


if __name__ == "__main__":
    main()
