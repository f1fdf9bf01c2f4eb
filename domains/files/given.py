"""Files that somebody gives as samples: which ones, in which order, under which names."""

import re
from collections import Counter
from collections.abc import Sequence
from glob import glob
from pathlib import Path

from domains.errors import FewstepError

__all__ = ["distinct_names", "given_files"]


def given_files(place: str, suffixes: tuple[str, ...] = ()) -> list[Path]:
    """Return the files of a directory, or those that a pattern matches, by their paths' order.

    Args:
        place: A directory, whose own files count; or a pattern with ``*``, ``?``, ``[…]`` and
            ``**`` for directories of any depth. Hidden files never count.
        suffixes: Endings, in small letters, of the files of a directory that count; none: all.

    Raises:
        FewstepError: There is no file, or a name has characters that are none.
    """
    whole = Path(place).is_dir()
    endings = suffixes if whole else ()
    paths = Path(place).iterdir() if whole else map(Path, glob(place, recursive=True))
    found = sorted(
        path
        for path in paths
        if path.is_file()
        and not path.name.startswith(".")
        and (not endings or path.suffix.lower() in endings)
    )
    for path in found:
        if re.search(r"[\ud800-\udfff\n\r]", str(path)):  # what no row of a table could hold
            raise FewstepError("a file's name is no UTF-8", got=ascii(str(path)), do="Rename it")
    if not found:
        raise FewstepError(
            f"there are no files {place}",
            expected=f"a directory with files{''.join(f' {one}' for one in endings)}, or a pattern"
            " that files match",
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
