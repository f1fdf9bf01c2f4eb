"""Every outside file: what it is, whose it is, and how to get exactly that file."""

import logging
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import ValidationError

from domains.errors import FewstepError
from domains.files.aside import put_aside
from domains.files.provenance import atomic_path, sha256
from domains.files.yaml_file import read_yaml
from domains.manifest.download import download, extract
from domains.manifest.entries import Entry, Manifest, Member, Package, RepositoryFile

__all__ = ["fetch", "fetch_files", "load_manifest", "unpack"]

_log = logging.getLogger(__name__)
_ROOT = Path(__file__).parents[2]
_WRONG = "Get the file anew, or correct the manifest if it was changed"


def load_manifest(path: Path) -> Manifest:
    """Read and check a manifest.

    Raises:
        FewstepError: The file can't be read, isn't YAML, or breaks the form of an entry.
    """
    try:
        return Manifest.model_validate(read_yaml(path))
    except FewstepError as error:
        raise FewstepError(f"can't read the manifest {path}", got=error) from error
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "the file"
        raise FewstepError(f"{path}, {place}", got=first["msg"], do="Correct it") from error


def fetch(entry: Entry, cache: Path) -> Path:
    """Return the verified file of an entry, downloading it only if the cache hasn't got it.

    A file put into the cache by hand, for a machine without network, is as good.

    Args:
        entry: What to get.
        cache: Directory of downloads, made if missing.

    Returns:
        ``cache/<entry.file>``, or the place of a repository file.

    Raises:
        FewstepError: No network, a tool missing, too little disk, a wrong size or checksum. No
            bad or partial file is left under the final name.
    """
    if isinstance(entry, RepositoryFile):
        _verify(_ROOT / entry.path, entry)
        return _ROOT / entry.path
    final = Path(cache) / entry.file
    if _is_there(final, entry):
        return final
    with _scratch(Path(cache), entry.size) as directory:
        download(entry, directory, final)
        _verify(directory / entry.file, entry)
        with atomic_path(final) as temporary:
            os.replace(directory / entry.file, temporary)
    return final


def unpack(entry: Entry, member: str, cache: Path) -> Path:
    """Return one verified file from inside an entry's archive, fetching that if needed.

    Args:
        entry: A package.
        member: Name of the file, the last part of its path in the manifest.
        cache: Directory of downloads.

    Returns:
        ``cache/<entry.id>/<member>``; when it is there already, the archive isn't needed.

    Raises:
        FewstepError: The manifest names no such member, or as for ``fetch``.
    """
    known = {Path(m.path).name: m for m in entry.members} if isinstance(entry, Package) else {}
    if member not in known:
        listed = ", ".join(known) or "none"
        raise FewstepError(f"{entry.id} has no such member", expected=listed, got=member)
    wanted, final = known[member], Path(cache) / entry.id / member
    if _is_there(final, wanted):
        return final
    archive = fetch(entry, cache)
    with _scratch(Path(cache), wanted.size) as directory:
        extracted = extract(archive, wanted.path, directory)
        _verify(extracted, wanted)
        with atomic_path(final) as temporary:
            os.replace(extracted, temporary)
    return final


def fetch_files(entry: Entry, cache: Path) -> list[Path]:
    """Return the verified files that an entry is there for: its members, or itself without any.

    Args:
        entry: What to get.
        cache: Directory of downloads.

    Raises:
        FewstepError: As for ``fetch``.
    """
    members = entry.members if isinstance(entry, Package) else ()
    return [unpack(entry, Path(m.path).name, cache) for m in members] or [fetch(entry, cache)]


def _is_there(path: Path, wanted: Entry | Member) -> bool:
    """Return whether the cache has the right file; a wrong one is moved aside, with a warning."""
    if not os.path.lexists(path):
        return False
    try:
        _verify(path, wanted)
    except FewstepError as error:
        _log.warning("%s It is now %s.", error, put_aside(path, "wrong"))
        return False
    return True


def _verify(path: Path, wanted: Entry | Member) -> None:
    """Raise unless the file is there with the right size and checksum."""
    try:
        size, digest = path.stat().st_size, ""
        if size == wanted.size:
            digest = sha256(path)
    except OSError as error:
        raise FewstepError(f"can't read {path}", got=error.strerror) from error
    if size != wanted.size:
        raise FewstepError(
            f"{path.name} is not the file that the manifest names",
            expected=f"{wanted.size} bytes",
            got=f"{size} bytes",
            do=_WRONG,
        )
    if digest != wanted.sha256:
        raise FewstepError(
            f"{path.name} is not the file that the manifest names",
            expected=f"sha256 {wanted.sha256}",
            got=digest,
            do=_WRONG,
        )


@contextmanager
def _scratch(cache: Path, size: int) -> Iterator[Path]:
    """Yield a directory inside the cache, on the same disk, that is removed in any case."""
    try:
        cache.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(cache).free
        if free < size:
            raise FewstepError(
                f"too little disk for {cache}",
                expected=f"{size} bytes free",
                got=f"{free}",
                do="Free disk space or choose another cache",
            )
        with tempfile.TemporaryDirectory(prefix=".fetch-", dir=cache) as directory:
            yield Path(directory)
    except OSError as error:
        raise FewstepError(
            f"can't write to {cache}",
            got=error.strerror or error,
            do="Free disk space or choose a directory that you may write to",
        ) from error
