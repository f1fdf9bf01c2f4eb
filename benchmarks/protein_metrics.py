"""Time and memory of the evaluation of many backbones, without ProteinMPNN.

Samples are the bundled CATH domains of one length, each a few times with 0.02 nm of noise: as
diverse as real chains, which is the dear case. Files are read and measured as the stage does, in
a process of its own, whose times and peak memory are its own. docs/how_to/scale.md has results.

    OMP_NUM_THREADS=1 python benchmarks/protein_metrics.py 1000
    OMP_NUM_THREADS=1 python benchmarks/protein_metrics.py 1000 --length 64
    OMP_NUM_THREADS=1 python benchmarks/protein_metrics.py 10000 --length 64 --cheap
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from domains.batch import Sample
from domains.protein.data.dataset import load_domains
from domains.protein.evaluation import measure
from domains.protein.field import FIELD
from domains.protein.files.structure import write_pdb
from domains.protein.settings import ProteinEvaluate

_NOISE = 0.02  # nm
_BESIDE = 4  # lengths that are cut to the one asked for, so that there are enough domains


def chains(count: int, length: int) -> list[np.ndarray]:
    """Return domains of about a length, cut to it, with noise where there are too few."""
    known, rng = load_domains(), np.random.default_rng(0)
    fit = np.flatnonzero((known.lengths >= length) & (known.lengths <= length + _BESIDE))
    drawn = [np.asarray(known.points(int(k)), dtype=float)[:length] for k in rng.permutation(fit)]
    return [
        drawn[k % len(drawn)] + (k >= len(drawn)) * rng.normal(0, _NOISE, (length, 3))
        for k in range(count)
    ]


def write(folder: Path, count: int, length: int) -> None:
    """Write the chains as the generate stage does."""
    for k, chain in enumerate(chains(count, length)):
        write_pdb(folder / f"sample_{k:07d}.pdb", chain)


def run(folder: Path, cheap: bool) -> dict[str, object]:
    """Read and measure the files of a folder; return times, memory and what was measured."""
    start, cpu = time.perf_counter(), time.process_time()
    samples: list[Sample] = [FIELD.read(path) for path in sorted(folder.iterdir())]
    reading = time.process_time() - cpu
    config = ProteinEvaluate(proxy=False)
    if cheap:
        config = ProteinEvaluate(proxy=False, novelty_shortlist=0, diversity=False)
    measured = measure(samples, config, 0, None)
    own, children = (
        resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    peak = Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]
    return {
        "samples": len(samples),
        "reading_cpu_s": reading,
        "cpu_s": sum(one.ru_utime + one.ru_stime for one in (own, children)),
        "seconds": time.perf_counter() - start,
        "peak_gb": int(peak) / 1e6,
        "threads": torch.get_num_threads(),
        "of_set": {
            one.name: [round(part, 4) for part in one.interval] + [one.n, one.tool]
            for one in measured.of_set
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("count", type=int, help="samples")
    parser.add_argument("--length", type=int, default=100, help="residues")
    parser.add_argument("--cheap", action="store_true", help="leave out alignments")
    parser.add_argument("--folder", type=Path, help="of the files: measure them")
    arguments = parser.parse_args()
    if arguments.folder:
        print(json.dumps(run(arguments.folder, arguments.cheap)))
        return
    with tempfile.TemporaryDirectory() as name:
        write(Path(name), arguments.count, arguments.length)
        command = [sys.executable, __file__, *sys.argv[1:], "--folder", name]
        line = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    print(json.dumps(json.loads(line.splitlines()[-1]), indent=1))


if __name__ == "__main__":
    main()
