"""Inventory of a machine: processors, memory, disk, package versions."""

import os
import platform
import re
import shutil
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from domains.monitoring.finding import Finding

__all__ = ["machine", "packages"]

_GIB = 2**30
_LITTLE_DISK = 5 * _GIB
_LITTLE_MEMORY = 4 * _GIB
_CONSTRAINTS = Path(__file__).parents[2] / "constraints.txt"


def machine(place: Path) -> Iterator[Finding]:
    """Yield cores, memory and the disk of ``place``."""
    usable = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count()
    threads = os.environ.get("OMP_NUM_THREADS", "not set")
    yield Finding("cores", "ok", f"{usable} usable of {os.cpu_count()}; OMP_NUM_THREADS {threads}")
    memory = _memory()
    low = memory is not None and memory < _LITTLE_MEMORY
    yield Finding(
        "memory",
        "warning" if low else "ok",
        "unknown" if memory is None else f"{memory / _GIB:.1f} GiB usable",
        "Lower the batch size and generate.batch_points" if low else "",
    )
    yield _disk(place)


def _disk(place: Path) -> Finding:
    free = shutil.disk_usage(place).free
    found = f"{free / _GIB:.1f} GiB free in {place.absolute()}"
    if not os.access(place, os.W_OK):
        return Finding("disk", "broken", found, "Go to a directory that you may write to")
    if free < _LITTLE_DISK:
        return Finding("disk", "warning", found, "Free some: a run needs gigabytes")
    return Finding("disk", "ok", found)


def _memory() -> int | None:
    """Return the bytes of memory that this process may use: the machine's, or its group's."""
    limits = []
    if "SC_PHYS_PAGES" in os.sysconf_names:
        limits.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            text = Path(path).read_text().strip()
        except OSError:
            continue
        limits += [int(text)] if text.isdecimal() else []
    return min(limits, default=None)


def packages(constraints: Path = _CONSTRAINTS) -> Iterator[Finding]:
    """Yield Python, and the required packages that are missing or not as tested."""
    yield Finding("python", "ok", f"{platform.python_version()} on {platform.platform()}")
    lines = constraints.read_text(encoding="utf-8").splitlines() if constraints.exists() else []
    tested = dict(line.split("==", 1) for line in lines if "==" in line and line[0] != "#")
    tested = {_canonical(name): pin.strip() for name, pin in tested.items()}
    names = [line for line in requires("fewstep") or [] if "extra ==" not in line]
    good = 0
    for name in sorted(_canonical(re.split(r"[^\w.-]", line, maxsplit=1)[0]) for line in names):
        try:
            # Builds of torch add to the version: 2.13.0+cpu.
            found = version(name)
        except PackageNotFoundError:
            yield Finding(name, "broken", "missing", f"pip install {name}")
            continue
        if found.partition("+")[0] == tested.get(name, found.partition("+")[0]):
            good += 1
        else:
            do = "If something fails, install with -c constraints.txt"
            yield Finding(name, "warning", f"{found}; tested with {tested[name]}", do)
    against = "as tested" if tested else "versions not compared: no constraints.txt here"
    yield Finding("packages", "ok", f"{good} of {len(names)} required ones {against}")


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
