"""Directories of their own for commands that write without a run's settings."""

import tempfile
from pathlib import Path

from domains.errors import FewstepError

__all__ = ["fresh_directory"]


def fresh_directory(path: Path) -> None:
    """Make a directory, or take an empty one, before anything is computed for it.

    So nobody's files are replaced, and what is in it afterwards is of one call. Hidden files do
    not count.

    Args:
        path: The directory.

    Raises:
        FewstepError: It has files, or can't be made or written.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        taken = next((one.name for one in path.iterdir() if not one.name.startswith(".")), None)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        raise FewstepError(
            f"can't write to {path}", got=error.strerror, do="Give another --output"
        ) from error
    if taken is not None:
        raise FewstepError(
            f"there are files in {path} already",
            expected="a new or an empty directory",
            got=repr(taken),
            do="Give another --output, or move them away",
        )
