"""What a GPU makes of fewstep: is it right, and how fast; one command, three minutes at most.

Five sections, each a process of its own with a time limit, each of cases that may fail alone:
equality with the CPU; Proteina's network in three sizes and precisions, beside a plain
implementation; teacher training and distillation through the real stages, with the share of
time in which the GPU is busy; sampling; LiDiff at full width. After each section ``gpu.json``
and ``gpu.md`` are written. No network is needed, nothing is installed. On a CPU, ``--dry-run``
runs every case in tiny sizes.

    python -m benchmarks.gpu --output results/gpu
    CUDA_VISIBLE_DEVICES= python -m benchmarks.gpu --dry-run --output results/gpu_dry
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

from domains.files.provenance import write_json, write_text

ROOT = Path(__file__).resolve().parents[1]
# The most seconds of each section; all of them together have the command's limit.
SECTIONS = {"equality": 35, "network": 50, "training": 55, "sampling": 25, "scenes": 35}
LIMIT = 175.0
SLOWER = 20  # times as long on a CPU that others use as well

Row = dict[str, Any]


def main() -> int:
    """Run the sections; 1 where a case failed or a number of the device's is not the CPU's."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--output", type=Path, default=Path("results/gpu"))
    parser.add_argument("--sections", default=",".join(SECTIONS))
    parser.add_argument("--dry-run", action="store_true", help="tiny sizes, on a CPU")
    parser.add_argument("--limit", type=float, default=LIMIT, help="seconds of the whole command")
    parser.add_argument("--section", choices=SECTIONS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.section:
        run_section(options.section, options.dry_run)
        return 0
    chosen = options.sections.split(",")
    if unknown := [name for name in chosen if name not in SECTIONS]:
        parser.error(f"unknown section: expected of {', '.join(SECTIONS)}; got {unknown[0]}")
    facts = described(options.dry_run)
    if facts["device"] is None:
        parser.error("there is no CUDA device; do: run on one, or give --dry-run")
    tables: dict[str, list[Row]] = {}
    ends = time.monotonic() + options.limit * (SLOWER if options.dry_run else 1)
    for name in chosen:
        limit = SECTIONS[name] * (SLOWER if options.dry_run else 1)
        tables[name] = measured(name, min(limit, ends - time.monotonic()), options.dry_run)
        write_json(options.output / "gpu.json", {**facts, "sections": tables})
        write_text(options.output / "gpu.md", markdown(facts, tables))
    print((options.output / "gpu.md").read_text(encoding="utf-8"))
    return int(
        any("error" in row or row.get("equal") is False for t in tables.values() for row in t)
    )


def described(dry: bool) -> dict[str, Any]:
    """Return the device (None: there is none), driver, versions and commit."""
    import torch

    name, driver = ("CPU" if dry else None), None
    if not dry and torch.cuda.is_available():
        name = torch.cuda.get_device_name()
        driver = _output("nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader")
    return {
        "device": name,
        "driver": driver and driver.splitlines()[0],
        "cuda": torch.version.cuda,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "cpus": os.cpu_count(),
        "commit": _output("git", "-C", str(ROOT), "rev-parse", "HEAD"),
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "dry_run": dry,
    }


def _output(*command: str) -> str | None:
    """Return what a program prints, None where it is missing or fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() or None


def measured(name: str, limit: float, dry: bool) -> list[Row]:
    """Return the rows of a section, those before its time was up or it crashed."""
    if limit <= 0:
        return [{"case": "all", "error": "no time was left for this section"}]
    command = [sys.executable, "-m", "benchmarks.gpu", "--section", name]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *_paths()])}
    with tempfile.TemporaryDirectory() as place:
        rows, log = Path(place) / "rows", Path(place) / "log"
        with rows.open("w") as out, log.open("w") as errors:
            process = subprocess.Popen(
                [*command, *(["--dry-run"] if dry else [])],
                stdout=out,
                stderr=errors,
                cwd=ROOT,
                env=environment,
                start_new_session=True,
            )
            try:
                fault = process.wait(limit) and f"exit status {process.returncode}"
            except subprocess.TimeoutExpired:
                fault = f"stopped after {limit:.0f} s"
            except BaseException:
                _stop(process)
                raise
            _stop(process)
        made = [json.loads(line) for line in rows.read_text().splitlines() if line.endswith("}")]
        said = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    if fault:
        made.append({"case": "the rest", "error": f"{fault}; {said[-1][:200] if said else ''}"})
    return made


def _paths() -> list[str]:
    return [path for path in [os.environ.get("PYTHONPATH", "")] if path]


def _stop(process: subprocess.Popen[Any]) -> None:
    """End a section, with the processes that it started."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def run_section(name: str, dry: bool) -> None:
    """Run the cases of a section here; print a line of JSON for each to stdout, nothing else."""
    import torch

    from benchmarks.gpu_sections.machine import Machine

    lines = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # whatever else is printed
    machine = Machine(torch.device("cpu" if dry else "cuda"), dry)
    for case, run in import_module(f"benchmarks.gpu_sections.{name}").cases(machine):
        began = time.perf_counter()
        try:
            cells = run()
        except Exception as error:  # one case, of one section
            cells = {"error": f"{type(error).__name__}: {str(error)[:200]}"}
        # JSON knows no NaN.
        cells = {key: value if _is_known(value) else str(value) for key, value in cells.items()}
        row = {"case": case, **cells, "took_s": round(time.perf_counter() - began, 2)}
        lines.write(json.dumps(row) + "\n")


def _is_known(value: Any) -> bool:
    return not isinstance(value, float) or math.isfinite(value)


def markdown(facts: dict[str, Any], tables: dict[str, list[Row]]) -> str:
    """Return the sections as tables."""
    told = ", ".join(f"{key} {value}" for key, value in facts.items() if key != "sections")
    parts = ["# fewstep on a GPU", told]
    for name, rows in tables.items():
        columns = list(dict.fromkeys(key for row in rows for key in row))
        lines = [columns, ["---"] * len(columns)]
        lines += [[_cell(row.get(column)) for column in columns] for row in rows]
        parts += [f"## {name}", "\n".join(f"| {' | '.join(line)} |" for line in lines)]
    return "\n\n".join(parts) + "\n"


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"
    return str(value).replace("|", "/").replace("\n", " ")


if __name__ == "__main__":
    sys.exit(main())
