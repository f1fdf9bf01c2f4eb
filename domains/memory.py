"""What it looks like when memory runs out; loads no torch."""

__all__ = ["out_of_memory"]

# Of CUDA, of torch's allocator for the CPU, of cuBLAS and cuDNN: all RuntimeErrors.
_WORDS = ("out of memory", "not enough memory", "allocate memory", "alloc_failed")


def out_of_memory(error: BaseException) -> bool:
    """Return whether an error says that a smaller batch might do."""
    said = isinstance(error, RuntimeError) and any(w in str(error).lower() for w in _WORDS)
    return said or isinstance(error, MemoryError)
