"""Inventory of a machine: processors, memory, disk, accelerators, package versions."""

import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires, version
from importlib.util import find_spec
from pathlib import Path

from domains.monitoring.finding import Finding

__all__ = ["devices", "machine", "packages"]

_GIB = 2**30
_SECONDS = 60  # that loading a library may take
_LITTLE_DISK = 5 * _GIB
_LITTLE_MEMORY = 4 * _GIB
_CONSTRAINTS = Path(__file__).parents[2] / "constraints.txt"
# Signs of an NVIDIA GPU that need neither torch nor a working driver library.
_NVIDIA = ("/dev/nvidia0", "/proc/driver/nvidia/version")
_AMD = Path("/dev/kfd")


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


def devices() -> Iterator[Finding]:
    """Yield accelerators, and a warning where torch can't use the one that is there.

    Without a sign of one, torch is not imported, which takes seconds: its library is loaded.
    """
    if not (_nvidia() or _AMD.exists() or sys.platform == "darwin"):
        fault = _torch_fault()
        if fault:
            yield Finding("torch", "broken", fault, "Install it again: pip install torch")
        else:
            yield Finding("gpu", "absent", "none seen", "All stages run on the CPU, slower")
        return
    try:
        import torch
    except (ImportError, OSError) as error:
        yield Finding("torch", "broken", str(error), "Install it again: pip install torch")
        return
    for k in range(torch.cuda.device_count()):
        facts = torch.cuda.get_device_properties(k)
        found = f"{facts.name}, {facts.total_memory / _GIB:.0f} GiB (CUDA {torch.version.cuda})"
        yield Finding(f"gpu {k}", "ok", found)
    if torch.cuda.device_count():
        return
    if torch.backends.mps.is_available():
        yield Finding("gpu", "absent", "Apple's (MPS), which fewstep does not use")
    elif torch.version.cuda is None and torch.version.hip is None:
        do = "Unset PIP_EXTRA_INDEX_URL and reinstall: pip install --force-reinstall torch"
        yield Finding("gpu", "warning", f"there, but torch {torch.__version__} is CPU-only", do)
    else:
        do = "Compare the driver (nvidia-smi) with torch's CUDA; look at CUDA_VISIBLE_DEVICES"
        yield Finding("gpu", "warning", f"there, but CUDA {torch.version.cuda} can't use it", do)


def _torch_fault() -> str:
    """Say why torch's library can't be loaded; empty if it can, or if that can't be told."""
    spec = find_spec("torch")
    if spec is None or not spec.submodule_search_locations:
        return "missing"
    libraries = sorted(Path(spec.submodule_search_locations[0]).glob("lib/libtorch_cpu.*"))
    code = f"import ctypes\nfor name in {[str(one) for one in libraries]}: ctypes.CDLL(name)"
    # In a process of its own: a broken one may take its process down.
    command = [sys.executable, "-c", code]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS)
    except subprocess.TimeoutExpired:
        return f"its library does not load within {_SECONDS} s"
    lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
    return lines[-1] if done.returncode else ""


def _nvidia() -> bool:
    return any(Path(path).exists() for path in _NVIDIA) or shutil.which("nvidia-smi") is not None


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
