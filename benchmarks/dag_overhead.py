"""What the DAG costs beside the sampling itself, from the files of a finished run.

    python benchmarks/dag_overhead.py results/protein_scale --cores 2

A set's sampling seconds are those of its index tables: the samplers' network calls alone. A
job's seconds are what Snakemake measured around its command: start of Python, imports, the
model, writing and checksums come on top. The span is the time from the start of a set's first
shard to the end of its last, times the jobs that ran side by side; Snakemake's own work and
waiting are in it. So is any other job of the run meanwhile, and a pause if the run was stopped
and taken up again: then the span's share says nothing.
"""

import argparse
import csv
import json
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Shard:
    """One sampling job: seconds of sampling and of the whole job, and when it ended."""

    samples: int
    sampling: float
    job: float
    end: float


def read_shards(run: Path, name: str) -> list[Shard]:
    """Shards of a set that have both an index and Snakemake's measurement."""
    shards = []
    for index in sorted((run / "samples" / name).glob("shard_*/index.csv")):
        number = index.parent.name.removeprefix("shard_")
        measured = run / "benchmarks" / f"generate_{name}_{number}.jsonl"
        if not measured.exists():
            continue
        with index.open(newline="") as stream:
            seconds = [float(row["seconds"]) for row in csv.DictReader(stream)]
        job = json.loads(measured.read_text().splitlines()[-1])["s"]
        shards.append(Shard(len(seconds), sum(seconds), job, measured.stat().st_mtime))
    return shards


def row(name: str, shards: list[Shard], cores: int) -> str:
    """A line of the table."""
    sampling, jobs = sum(s.sampling for s in shards), sum(s.job for s in shards)
    first, last = min(s.end - s.job for s in shards), max(s.end for s in shards)
    span = (last - first) * min(cores, len(shards))
    numbers = f"{len(shards)} | {sum(s.samples for s in shards)} | {sampling:.0f} | {jobs:.0f}"
    each = (jobs - sampling) / len(shards)
    in_jobs, in_all = 1 - sampling / jobs, 1 - sampling / span
    return f"| {name} | {numbers} | {each:.1f} | {in_jobs:.1%} | {span:.0f} | {in_all:.1%} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("run", type=Path, help="results/NAME of a finished run")
    parser.add_argument("--cores", type=int, required=True, help="jobs side by side")
    options = parser.parse_args()
    print("| set | shards | samples | sampling, s | jobs, s | beside it, s a job | of the jobs |"
          " span × cores, s | of the span |")  # fmt: skip
    print("|---|---|---|---|---|---|---|---|---|")
    for samples in sorted((options.run / "samples").iterdir()):
        shards = read_shards(options.run, samples.name)
        if sum(shard.sampling for shard in shards):
            print(row(samples.name, shards, options.cores))
    rest = {path.stem: json.loads(path.read_text().splitlines()[-1])["s"] for path in
            sorted((options.run / "benchmarks").glob("*.jsonl"))
            if not path.stem.startswith("generate_")}  # fmt: skip
    print("\nOther jobs, s: " + ", ".join(f"{name} {s:.0f}" for name, s in rest.items()))


if __name__ == "__main__":
    main()
