"""Stage: get an outside file of the manifest."""

import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from domains.errors import FewstepError

__all__ = ["fetch"]

MANIFEST = "data_manifest.yaml"


def fetch(
    entry: str, output: Path, manifest: Path | None = None, cache: Path | None = None
) -> None:
    """Fetch an outside file of the manifest, verified by size and sha256.

    Args:
        entry: Its id in the manifest, such as proteinmpnn.
        output: Directory of its files; a partial or changed one is replaced.
        manifest: The manifest; that of the repository if not given.
        cache: Directory of downloads; "downloads" beside the output if not given.
    """
    from domains.manifest.table import fetch_files, load_manifest

    chosen = load_manifest(manifest or _default_manifest()).find(entry)
    files = fetch_files(chosen, cache or output.absolute().parent / "downloads")
    _replace_directory(output.absolute(), files)


def _default_manifest() -> Path:
    """Return the manifest of the clone that this package runs from, or of the directory."""
    places = [Path(__file__).parents[2] / MANIFEST, Path.cwd() / MANIFEST]
    for place in places:
        if place.is_file():
            return place
    raise FewstepError(
        f"there is no {MANIFEST}",
        expected=" or ".join(map(str, places)),
        do="Give --manifest, or run from a clone of the repository",
    )


def _replace_directory(output: Path, files: Sequence[Path]) -> None:
    """Make ``output`` a directory of exactly these files, by one rename of a whole one."""
    _check_replaceable(output, {file.name for file in files})
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{output.name}.", dir=output.parent) as scratch:
            whole, old = Path(scratch) / "new", Path(scratch) / "old"
            whole.mkdir()
            for file in files:
                _copy(file, whole / file.name)
            if output.exists():
                output.rename(old)
            whole.rename(output)
    except OSError as error:
        raise FewstepError(
            f"can't write {output}",
            got=error.strerror or error,
            do="Free disk space or choose a directory that you may write to",
        ) from error


def _check_replaceable(output: Path, names: set[str]) -> None:
    """Refuse to replace a directory that holds anything else than these files."""
    if output.is_symlink() or (output.exists() and not output.is_dir()):
        raise FewstepError(f"{output} is in the way", expected="a directory, or nothing yet")
    others = sorted({path.name for path in output.iterdir()} - names) if output.exists() else []
    if others:
        raise FewstepError(
            f"{output} holds other files",
            expected=f"an empty directory, or only {', '.join(sorted(names))}",
            got=", ".join(others[:3]),
            do="Choose another directory",
        )


def _copy(source: Path, target: Path) -> None:
    """Copy a file down to the disk, so that the rename after it names a whole one."""
    shutil.copyfile(source, target)
    with target.open("rb") as stream:
        os.fsync(stream.fileno())
