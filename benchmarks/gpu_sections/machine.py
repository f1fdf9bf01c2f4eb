"""The device that is measured, and how: times, peak memory, precisions, busy share."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch

__all__ = ["Case", "Machine", "busy_share", "computing"]

# A name, and a function that measures it and returns the cells of its row.
Case = tuple[str, Callable[[], dict[str, Any]]]

_WARM = 2  # runs before the clock starts: allocator, kernels' choice
_SECONDS = 0.4  # of a measurement, if one run is shorter
_MOST = 20  # runs of a measurement


@dataclass(frozen=True)
class Machine:
    """Where cases run.

    Attributes:
        device: The device.
        dry: Take tiny sizes: numbers mean nothing, code runs.
    """

    device: torch.device
    dry: bool

    def wait(self) -> None:
        """Wait until the device has done all that it was given."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def timed(self, run: Callable[[], Any]) -> dict[str, float]:
        """Return a run's ms, by the clock over several in a row, and its peak memory in GB."""
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats(self.device)
        for _ in range(1 if self.dry else _WARM):
            self.wait()
            began = time.perf_counter()
            run()
            self.wait()
        once = time.perf_counter() - began
        count = 1 if self.dry else max(1, min(_MOST, int(_SECONDS / once)))
        began = time.perf_counter()
        for _ in range(count):
            run()
        self.wait()
        found = {"ms": 1000 * (time.perf_counter() - began) / count}
        if self.device.type == "cuda":
            found["peak_gb"] = torch.cuda.max_memory_allocated(self.device) / 1e9
        return found


@contextmanager
def computing(precision: str, device: torch.device) -> Iterator[None]:
    """Compute in "fp32", "tf32" or "bf16" (autocast) inside."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high" if precision == "tf32" else "highest")
    try:
        with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"):
            yield
    finally:
        torch.set_float32_matmul_precision(before)


@contextmanager
def busy_share(device: torch.device, found: dict[str, Any]) -> Iterator[None]:
    """Put into ``found`` the percentage of time in which a kernel ran, as nvidia-smi counts it.

    The first half of its readings is left out: a training starts in it. Nothing is put where
    there is no nvidia-smi, or where it does not know (MIG).
    """
    if device.type != "cuda" or shutil.which("nvidia-smi") is None:
        yield
        return
    name = getattr(torch.cuda.get_device_properties(device), "uuid", None)
    which = [] if name is None else ["-i", f"GPU-{name}"]
    query = ["--query-gpu=utilization.gpu", "--format=csv,noheader,nounits", "-lms", "200"]
    with tempfile.TemporaryFile("w+") as readings:
        process = subprocess.Popen(
            ["nvidia-smi", *which, *query], stdout=readings, stderr=subprocess.DEVNULL
        )
        try:
            yield
        finally:
            process.kill()
            process.wait()
            readings.seek(0)
            numbers = [int(line) for line in readings if line.strip().isdecimal()]
            if half := numbers[len(numbers) // 2 :]:
                found["busy_percent"] = sum(half) / len(half)
