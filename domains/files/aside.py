"""Move files in the way aside, under an unused name; nothing is deleted."""

import logging
import os
from pathlib import Path

from domains.errors import FewstepError
from domains.files.regular import check_regular

__all__ = ["begins", "free_name", "make_way", "put_aside"]

_log = logging.getLogger(__name__)


def put_aside(path: Path, word: str) -> Path:
    """Rename a file, directory or link to ``<name>.<word>``, or ``<name>.<word>-2`` and so on.

    Args:
        path: What is in the way.
        word: Why it is.

    Returns:
        Its new path, beside the old one.

    Raises:
        FewstepError: The directory can't be written.
    """
    path = Path(path)
    aside = free_name(path, word)
    try:
        path.rename(aside)
    except OSError as error:
        raise FewstepError(
            f"can't move {path} aside",
            got=error.strerror,
            do="Move it away yourself, or choose a directory that you may write to",
        ) from error
    return aside


def make_way(path: Path, beginning: str) -> None:
    """Move aside what is in the place of one of our files and is none of ours.

    Args:
        path: The file that is about to be written or removed.
        beginning: How each file of this kind begins.
    """
    if os.path.lexists(path) and not begins(path, beginning):
        _log.warning("%s is somebody else's: it is now %s", path, put_aside(path, "other"))


def begins(path: Path, beginning: str) -> bool:
    """Return whether a file is there and begins so."""
    wanted = beginning.encode()
    try:
        check_regular(path)
        with path.open("rb") as stream:
            return stream.read(len(wanted)) == wanted
    except OSError:
        return False


def free_name(path: Path, word: str) -> Path:
    """Return the first path ``<name>.<word>``, ``<name>.<word>-2`` … at which there is nothing."""
    aside, number = path.with_name(f"{path.name}.{word}"), 1
    while os.path.lexists(aside):
        number += 1
        aside = path.with_name(f"{path.name}.{word}-{number}")
    return aside
