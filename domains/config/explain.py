"""One line on the first thing that is wrong with settings."""

from __future__ import annotations

import reprlib
from typing import Any

from pydantic import ValidationError

from domains.errors import FewstepError

__all__ = ["explained"]


def explained(error: ValidationError, source: str) -> FewstepError:
    """Return the error that a reader of ``source`` can act on."""
    first = error.errors()[0]
    where = ".".join(map(str, first["loc"]))[:200] or "the file"
    return FewstepError(
        f"{source}, {where}: {first['msg']}",
        got=_shown(first.get("input")),
        do="See docs/reference/configuration.md for the keys and their ranges",
    )


def _shown(value: Any) -> str:
    """Return the first characters of a value's repr."""
    try:
        return reprlib.repr(value)[:200]
    except ValueError:  # Python writes out no integer of thousands of digits.
        return f"a huge {type(value).__name__}"
