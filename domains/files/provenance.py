"""Atomic, durable writes and the record of where a file came from."""

import errno
import hashlib
import json
import os
import platform
import re
import secrets
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from domains import __version__
from domains.errors import FewstepError
from domains.files.regular import check_regular

__all__ = [
    "atomic_directory",
    "atomic_path",
    "named",
    "package_versions",
    "record",
    "remove_parts",
    "sha256",
    "write_json",
    "write_text",
]

# What a file is called while it is written: nobody else's has such a name.
_PART = ".fewstep-part-"
_PACKAGES = ("torch", "pytorch-lightning", "numpy", "biotite", "pandas")


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path`` that replaces it only on success.

    File and name are flushed to disk, so a crash leaves either the old file or the whole new
    one, and what was written stays.

    Args:
        path: The final place; parent directories are made.

    Raises:
        FewstepError: The directory can't be written, or the disk is full.
    """
    path = Path(path)
    with _writing(path):
        temporary = path.parent / f"{_PART}{secrets.token_hex(8)}"
        mode = _create(temporary)
        try:
            yield temporary
            # Some writers replace the file by one of their own, readable by its owner only.
            temporary.chmod(mode)
            _flush(temporary)
            temporary.replace(path)
            _flush(path.parent)
        finally:
            temporary.unlink(missing_ok=True)


def _create(path: Path) -> int:
    """Make an empty file as the user's umask has it; return its permissions."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        return stat.S_IMODE(os.fstat(descriptor).st_mode)
    finally:
        os.close(descriptor)


def remove_parts(directory: Path) -> None:
    """Remove files that a killed process has left half written, and nothing else."""
    for path in Path(directory).glob(f"{_PART}*"):
        written = re.fullmatch(re.escape(_PART) + "[0-9a-f]{16}", path.name)
        if written and stat.S_ISREG(path.lstat().st_mode):
            path.unlink(missing_ok=True)


@contextmanager
def atomic_directory(path: Path) -> Iterator[Path]:
    """Yield a temporary directory that takes the name ``path`` only on success.

    Args:
        path: The final place, at which there is nothing yet.

    Raises:
        FewstepError: The directory can't be written, or the disk is full.
    """
    path = Path(path)
    with _writing(path), tempfile.TemporaryDirectory(prefix=_PART, dir=path.parent) as scratch:
        whole = Path(scratch) / path.name
        whole.mkdir()
        yield whole
        for written in (*whole.rglob("*"), whole):
            _flush(written)
        whole.rename(path)
        _flush(path.parent)


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Make the parent directory; turn errors of the disk into one line."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        do = "Free disk space or choose a directory that you may write to"
        if isinstance(error, FileExistsError | NotADirectoryError | IsADirectoryError):
            do = f"Move away what is in the place of {path} or of its directory"
        raise FewstepError(
            f"can't write {path}", got=error.strerror or str(error), do=do
        ) from error


def _flush(path: Path) -> None:
    """Flush a file, or the names in a directory, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        # Some network file systems flush no directories; there a rename is as good as it gets.
        if not (path.is_dir() and error.errno in (errno.EINVAL, errno.ENOTSUP)):
            raise
    finally:
        os.close(descriptor)


def write_text(path: Path, text: str) -> None:
    """Write ``text`` to ``path`` atomically, as UTF-8."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, content: Any) -> None:
    """Write ``content`` as indented JSON, atomically; NaN is refused."""
    write_text(path, json.dumps(content, indent=1, allow_nan=False) + "\n")


def sha256(path: Path) -> str:
    """Return the hexadecimal sha256 of a regular file, read in blocks."""
    check_regular(path)
    with Path(path).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def named(package: str) -> str:
    """Return a package's name and version, as the ``tool`` column of a table says them."""
    return f"{package} {__version__ if package == 'fewstep' else version(package)}"


def package_versions() -> dict[str, str]:
    """Return the versions of the packages that decide numbers."""
    found = {"fewstep": __version__, "python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def record(**facts: Any) -> dict[str, Any]:
    """Return a provenance record: the given facts and the versions in use."""
    return {**facts, "versions": package_versions()}
