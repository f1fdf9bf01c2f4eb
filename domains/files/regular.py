"""Files that somebody may have changed: only regular ones are read, and JSON of sane depth."""

import errno
import json
import os
import stat
from pathlib import Path
from typing import Any

__all__ = ["check_regular", "read_json_object", "read_regular"]

_DEEPEST = 100  # what is deeper can be read, and not be written out again


def check_regular(path: Path) -> None:
    """Refuse what is no regular file: to open a pipe would wait for ever, a device never ends.

    Raises:
        OSError: It is no regular file, or there is none.
    """
    mode = os.stat(path).st_mode
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, "it is a pipe or a device, not a file", str(path))


def read_regular(path: Path) -> str:
    """Return the text of a regular file.

    Raises:
        OSError: It is no regular file, or can't be read.
        ValueError: It is no UTF-8.
    """
    check_regular(path)
    return Path(path).read_text(encoding="utf-8")


def read_json_object(path: Path) -> dict[str, Any]:
    """Return the JSON object in a regular file.

    Raises:
        OSError: It is no regular file, or can't be read.
        ValueError: It is no JSON object, holds NaN, an infinite number or one of thousands of
            digits, or is absurdly deep.
    """
    text = read_regular(path)
    try:
        content = json.loads(text, parse_constant=_refuse, parse_float=_finite)
    except RecursionError as error:
        raise ValueError("it is absurdly deep") from error
    if not isinstance(content, dict):
        raise ValueError(f"a JSON object is expected, not a {type(content).__name__}")
    _check_depth(content)
    return content


def _refuse(constant: str) -> float:
    raise ValueError(f"{constant} is no JSON")


def _finite(text: str) -> float:
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise ValueError(f"{text[:40]} is too large for a number")
    return value


def _check_depth(content: Any) -> None:
    """Refuse what is nested too deep to be walked by recursion."""
    level, depth = [content], 0
    while level:
        depth += 1
        if depth > _DEEPEST:
            raise ValueError("it is absurdly deep")
        inner = [one.values() if isinstance(one, dict) else one for one in level]
        level = [part for one in inner for part in one if isinstance(part, dict | list)]
