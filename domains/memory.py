"""Peak memory of a process, and recognising errors of too little; loads no torch."""

import errno
import re
import resource
import sys
from pathlib import Path

__all__ = ["out_of_memory", "peak_memory"]

# Of CUDA, of torch's allocator for the CPU, of cuBLAS and cuDNN: all RuntimeErrors. Of the
# system, when a library does not fit any more.
_WORDS = ("out of memory", "not enough memory", "allocate memory", "alloc_failed")
_WORDS += ("failed to map segment",)


def out_of_memory(error: BaseException) -> bool:
    """Return whether an error says that a smaller batch might do."""
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    of_library = isinstance(error, RuntimeError | ImportError)
    said = of_library and any(words in str(error).lower() for words in _WORDS)
    return said or isinstance(error, MemoryError)


def peak_memory() -> float:
    """Return the most memory that this process has held so far, GB: of its GPU if it uses one.

    On a CPU that is resident memory, libraries included.
    """
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        return torch.cuda.max_memory_allocated() / 1e9
    status = Path("/proc/self/status")
    # What getrusage says starts from the parent's peak.
    found = re.search(r"VmHWM:\s*(\d+) kB", status.read_text()) if status.exists() else None
    if found:
        return int(found[1]) * 1024 / 1e9
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9
