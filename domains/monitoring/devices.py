"""Accelerators of a machine, and whether torch can use them."""

import runpy
import shutil
import subprocess
from collections.abc import Iterator
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from domains.monitoring.finding import Finding
from domains.monitoring.loading import fault, is_suspect, started

__all__ = ["devices"]

_GIB = 2**30
_SECONDS = 60  # that NVIDIA's driver may take to answer
# Signs of a GPU that need neither torch nor a working driver library.
_NVIDIA = ("/dev/nvidia0", "/proc/driver/nvidia/version")
_AMD = Path("/dev/kfd")
_MISMATCH = "Compare the driver (nvidia-smi) with torch's version; look at CUDA_VISIBLE_DEVICES"


def devices(deep: bool = False) -> Iterator[Finding]:
    """Yield accelerators, and a warning where torch can't use the one that is there.

    Importing torch takes seconds: without ``deep``, its files and NVIDIA's driver are read, and
    whether torch can use the GPU stays open.
    """
    nvidia = any(Path(path).exists() for path in _NVIDIA) or shutil.which("nvidia-smi") is not None
    if why := _torch_fault(deep):
        yield Finding("torch", "broken", why, "Install it again: pip install torch")
    elif not (nvidia or _AMD.exists()):
        note = "All stages run on the CPU, slower"
        yield Finding("gpu", "absent", "none seen that torch could use", note)
    elif not (platform := _torch_platform()):
        do = "Unset PIP_EXTRA_INDEX_URL and reinstall: pip install --force-reinstall torch"
        yield Finding("gpu", "warning", f"there, but torch {version('torch')} is CPU-only", do)
    else:
        yield from _used(platform) if deep else _seen(platform)


def _torch_fault(deep: bool) -> str:
    """Say why torch can't be imported, tried if ``deep`` or suspect; empty if nothing is known."""
    if find_spec("torch") is None:
        return "missing"
    tried = started("torch") if deep or is_suspect("torch") else None
    return fault(tried) if tried else ""


def _torch_platform() -> str:
    """Read what torch was built for from its files; empty if that is the CPU only."""
    spec = find_spec("torch")
    if spec is None or spec.origin is None:
        return ""
    built = runpy.run_path(str(Path(spec.origin).with_name("version.py")))
    return next((f"{one.upper()} {built[one]}" for one in ("cuda", "hip") if built.get(one)), "")


def _seen(platform: str) -> Iterator[Finding]:
    """Yield the GPUs that the driver sees; torch is not asked."""
    enables = "computes what torch can use it for"
    smi = shutil.which("nvidia-smi")
    if smi is None:
        yield Finding("gpu", "present", f"there; torch is for {platform}", enables)
        return
    command = [smi, "--query-gpu=name,memory.total", "--format=csv,noheader"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS)
        lines, failed = done.stdout.strip().splitlines(), done.returncode != 0
    except (OSError, subprocess.TimeoutExpired) as error:
        lines, failed = [str(error)], True
    if failed or not lines:
        said = lines[-1] if lines else "it says nothing"
        yield Finding("gpu", "warning", f"there, but nvidia-smi fails: {said}", _MISMATCH)
        return
    for k, line in enumerate(lines):
        yield Finding(f"gpu {k}", "present", f"{line}; torch is for {platform}", enables)


def _used(platform: str) -> Iterator[Finding]:
    """Yield the GPUs that torch sees."""
    import torch

    for k in range(torch.cuda.device_count()):
        facts = torch.cuda.get_device_properties(k)
        found = f"{facts.name}, {facts.total_memory / _GIB:.0f} GiB ({platform})"
        yield Finding(f"gpu {k}", "ok", found)
    if not torch.cuda.device_count():
        yield Finding("gpu", "warning", f"there, but torch for {platform} can't use it", _MISMATCH)
