"""What happens to files: a bit that flips, and an end that is missing."""

from pathlib import Path

__all__ = ["flip", "truncate"]


def flip(path: Path, at: int | None = None) -> None:
    """Flip the lowest bit of the byte at a place, negative from the end; else of the middle one."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2 if at is None else at] ^= 1
    path.write_bytes(content)


def truncate(path: Path, lost: int = 100) -> None:
    """Leave out the last bytes."""
    path.write_bytes(path.read_bytes()[:-lost])
