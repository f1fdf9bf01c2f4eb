"""CPU-seconds of one of SiD's updates (fake score, then student), with its roll-out shared or not.

    python -m benchmarks.sid_step --residues 80 --updates 5

The bundled teacher, eight steps, four chains, float32, one thread; both kinds by turns in one
process, medians. The step that learns is drawn anew in each update, alike for both.
"""

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch

from domains.config.fields import located
from domains.distillation.training.distiller import Distiller
from domains.stages.distill import distill


def measure(residues: int, updates: int, place: Path) -> dict[bool, list[float]]:
    """Return the seconds of each update but the first, which pays for first times, by `shared`."""
    found: dict[bool, list[float]] = {}
    step = Distiller.training_step

    for shared in (False, True):
        seconds = found.setdefault(shared, [])

        def timed(
            self: Distiller, number: int, batch_idx: int, seconds: list[float] = seconds
        ) -> None:
            start = time.process_time()
            step(self, number, batch_idx)
            seconds.append(time.process_time() - start)

        with patch.object(Distiller, "training_step", timed):
            config = written(place, shared, residues, updates + 1)
            state = place / f"state_{shared}"
            distill(config, "s", located("proteina-small"), state, place / f"student_{shared}")
        del seconds[0]
    return found


def written(place: Path, shared: bool, residues: int, steps: int) -> Path:
    """Write the settings of a run; JSON is YAML."""
    student: dict[str, Any] = {
        "objective": {"kind": "sid"},
        "roll_out": {"steps": 8, "shared": shared},
        "lengths": {"low": residues, "high": residues},
        "batch_size": 4,
        "fit": {"steps": steps, "checkpoint_every": 10**6, "log_every": 1},
    }
    run: dict[str, Any] = {"name": "sid", "domain": "protein", "teacher": "proteina-small"}
    run |= {"students": {"s": student}, "generate": {"lengths": [50]}}
    run |= {"sets": {"natives": {"model": "data"}}}
    path = place / f"{shared}.yaml"
    path.write_text(json.dumps(run), encoding="utf-8")
    return path


def main() -> None:
    """Print a table of medians, and their ratio."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--residues", type=int, default=80)
    parser.add_argument("--updates", type=int, default=5)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as place:
        found = measure(asked.residues, asked.updates, Path(place))
    apart, shared = (statistics.median(found[kind]) for kind in (False, True))
    ratios = [a / b for a, b in zip(found[False], found[True], strict=True)]
    print("| residues | each its own | shared | ratio of medians | smallest, largest ratio |")
    print("|---|---|---|---|---|")
    print(
        f"| {asked.residues} | {apart:.2f} s | {shared:.2f} s | {apart / shared:.2f} |"
        f" {min(ratios):.2f}, {max(ratios):.2f} |"
    )


if __name__ == "__main__":
    main()
