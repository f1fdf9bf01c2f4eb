"""Whether compiled packages can be loaded: what the linker says of them, or a try."""

import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

__all__ = ["SYSTEM_LIBRARIES", "fault", "is_suspect", "started"]

# What open3d wants of the system.
SYSTEM_LIBRARIES = (
    "On Debian and Ubuntu: apt-get install libgl1 libegl1 libx11-6 libgomp1 libusb-1.0-0"
)
_SECONDS = 60  # that a package may take to be imported
# Of the packages whose libraries want others: the one that leads to them all.
_LIBRARIES = {"torch": "lib/libtorch_cpu.so", "open3d": "**/pybind*.so"}


def is_suspect(package: str) -> bool:
    """Tell whether an installed package should be tried: the linker misses a library of it.

    Nothing is loaded, which takes milliseconds. False where there is no ``ldd`` to ask.
    """
    pattern, spec, ldd = _LIBRARIES.get(package), find_spec(package), shutil.which("ldd")
    if not (pattern and spec and spec.submodule_search_locations and ldd):
        return False
    for library in Path(spec.submodule_search_locations[0]).glob(pattern):
        said = subprocess.run([ldd, library], capture_output=True, text=True, timeout=_SECONDS)
        if said.returncode or "not found" in said.stdout:
            return True
    return False


def started(package: str) -> subprocess.Popen[str] | None:
    """Begin to import a package in a process of its own: a broken one may take its process down.

    Returns:
        The process; none if the package is not installed.
    """
    if find_spec(package) is None:
        return None
    command = [sys.executable, "-c", f"import {package}"]
    # POT would import torch and its like, which are not what is asked about.
    calm = {f"POT_BACKEND_DISABLE_{name}": "1" for name in ("PYTORCH", "TENSORFLOW", "JAX")}
    null, pipe = subprocess.DEVNULL, subprocess.PIPE
    return subprocess.Popen(command, stdout=null, stderr=pipe, text=True, env=os.environ | calm)


def fault(process: subprocess.Popen[str]) -> str:
    """Wait for what was started, and say why the package can't be imported; empty if it can."""
    try:
        _, said = process.communicate(timeout=_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return f"no import within {_SECONDS} s"
    lines = said.strip().splitlines() or [f"exit code {process.returncode}"]
    return f"can't be imported: {lines[-1]}" if process.returncode else ""
