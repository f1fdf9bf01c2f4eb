"""Files that somebody gives as samples: which ones, in which order, under which names."""

from collections import Counter
from collections.abc import Sequence
from glob import glob
from pathlib import Path

from domains.errors import FewstepError

__all__ = ["distinct_names", "given_files"]


def given_files(place: str) -> list[Path]:
    """Return the files of a directory, or those that a pattern matches, by their paths' order.

    Args:
        place: A directory, whose own files count; or a pattern with ``*``, ``?``, ``[…]`` and
            ``**`` for directories of any depth. Hidden files never count.

    Raises:
        FewstepError: There is no file.
    """
    whole = Path(place).is_dir()
    paths = map(Path, glob(f"{Path(place)}/*") if whole else glob(place, recursive=True))
    found = sorted(path for path in paths if path.is_file() and not path.name.startswith("."))
    if not found:
        raise FewstepError(
            f"there are no files {place}",
            expected="a directory with files, or a pattern that files match",
            do="Correct the path; it counts from where the command is started",
        )
    return found


def distinct_names(paths: Sequence[Path]) -> list[str]:
    """Return a name for each file: its stem, or where stems repeat as much of its path as it takes.

    ``a/model.pdb`` and ``b/model.pdb`` are ``a_model`` and ``b_model``.

    Raises:
        FewstepError: Two files differ in their suffix only.
    """
    names = [path.stem for path in paths]
    for depth in range(1, max((len(path.parts) for path in paths), default=0)):
        often = Counter(names)
        if len(often) == len(names):
            break
        names = [
            "_".join((*path.parent.parts[-depth:], path.stem)) if often[name] > 1 else name
            for name, path in zip(names, paths, strict=True)
        ]
    if twice := [name for name, times in Counter(names).items() if times > 1]:
        first, other = (path for path, name in zip(paths, names, strict=True) if name == twice[0])
        raise FewstepError(
            f"two samples would be called {twice[0]}", got=f"{first} and {other}", do="Rename one"
        )
    return names
