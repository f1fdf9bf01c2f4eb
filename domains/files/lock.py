"""One run per directory: a second one is refused, and a killed one is no obstacle."""

import errno
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
from domains.files.provenance import remove_parts
from domains.files.regular import read_regular

__all__ = ["exclusive", "holder_lives"]

_log = logging.getLogger(__name__)
_HOLDER = re.compile(r"process (\d+) on (.+)")


@contextmanager
def exclusive(directory: Path) -> Iterator[None]:
    """Hold a directory that this process writes; a second process is refused at once.

    The lock is the kernel's and ends with the process, however that ends. It is on a file
    beside the directory, which may itself be removed or renamed meanwhile; it is the same one
    by whatever path the directory is named. What a killed process has left half written is
    removed.

    Args:
        directory: Made if missing.

    Raises:
        FewstepError: Another process holds the directory, or it can't be made.
    """
    directory = Path(directory).absolute()
    if os.path.exists(directory) and not directory.is_dir():
        raise FewstepError(
            f"can't write {directory}",
            expected="a directory",
            got="a file of that name",
            do="Move it away, or choose another directory",
        )
    try:
        directory.mkdir(parents=True, exist_ok=True)
        lock, descriptor = _open(directory)
    except OSError as error:
        raise FewstepError(
            f"can't write {directory}",
            got=error.strerror,
            do="Choose a directory that you may write to",
        ) from error
    with os.fdopen(descriptor, "r+") as held:
        _take(held, directory)
        try:
            remove_parts(directory)
            yield
        finally:
            lock.unlink(missing_ok=True)


def _open(directory: Path) -> tuple[Path, int]:
    """Open the lock of a directory, inside it if its parent can't be written."""
    beside, inside = _locks_of(directory)
    # A link of that name is not ours, and is not followed.
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        return beside, os.open(beside, flags, 0o666)
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise
        return inside, os.open(inside, flags, 0o666)


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
        beside, inside = _locks_of(directory)
        lock = beside if beside.exists() else inside
        holder = _HOLDER.fullmatch(read_regular(lock))
        if holder is None or holder[2] != platform.node():
            return None
        os.kill(int(holder[1]), 0)
    except PermissionError:
        return True
    except ProcessLookupError:
        return False
    except (OSError, ValueError, OverflowError):
        return None
    return True


def _locks_of(directory: Path) -> tuple[Path, Path]:
    """Return the lock's two places: beside the directory, whatever path names it, or inside."""
    place = directory.resolve()
    return place.parent / f".{place.name}.fewstep-lock", place / ".fewstep-lock"
