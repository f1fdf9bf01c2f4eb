"""One run per directory: a second one is refused, and a killed one is no obstacle."""

import fcntl
import logging
import os
import platform
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from domains.errors import FewstepError

__all__ = ["exclusive", "holder_lives"]

_log = logging.getLogger(__name__)
# Names of temporary files (see ``atomic_path``).
_LEFTOVER = re.compile(r"\..+\.[a-z0-9_]{8}")
_HOLDER = re.compile(r"process (\d+) on (.+)")


@contextmanager
def exclusive(directory: Path) -> Iterator[None]:
    """Hold a directory that this process writes; a second process is refused at once.

    The lock is the kernel's and ends with the process, however that ends. It is on a file
    beside the directory, which may itself be removed or renamed meanwhile. What a killed
    process has left half written is removed.

    Args:
        directory: Made if missing.

    Raises:
        FewstepError: Another process holds the directory, or it can't be made.
    """
    directory = Path(directory).absolute()
    try:
        directory.mkdir(parents=True, exist_ok=True)
        lock = _lock_of(directory)
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise FewstepError(
            f"can't write {directory}",
            got=error.strerror,
            do="Choose a directory that you may write to",
        ) from error
    with os.fdopen(descriptor, "r+") as held:
        _take(held, directory)
        try:
            for leftover in directory.iterdir():
                if _LEFTOVER.fullmatch(leftover.name):
                    leftover.unlink()
            yield
        finally:
            lock.unlink(missing_ok=True)


def _take(file: TextIO, directory: Path) -> None:
    """Lock an open file and write down who holds it."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise FewstepError(
            f"another run is at work in {directory}",
            got=file.read(200) or "a lock",
            do="Wait for it, or stop it",
        ) from error
    except OSError as error:
        _log.warning("no locks here: never run twice in %s (%s)", directory, error.strerror)
        return
    if os.fstat(file.fileno()).st_nlink == 0:
        raise FewstepError(f"another run in {directory} has just ended", do="Run it again")
    file.truncate()
    file.write(f"process {os.getpid()} on {platform.node()}")
    file.flush()


def holder_lives(directory: Path) -> bool | None:
    """Return whether the process that holds a directory lives; None if that can't be seen here."""
    try:
        holder = _HOLDER.fullmatch(_lock_of(directory).read_text(encoding="utf-8"))
        if holder is None or holder[2] != platform.node():
            return None
        os.kill(int(holder[1]), 0)
    except PermissionError:
        return True
    except ProcessLookupError:
        return False
    except (OSError, UnicodeDecodeError, OverflowError):
        return None
    return True


def _lock_of(directory: Path) -> Path:
    return directory.parent / f".{directory.name}.lock"
