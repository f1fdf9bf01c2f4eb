"""One line of a check-up."""

from dataclasses import dataclass
from typing import Literal

__all__ = ["Finding"]


@dataclass(frozen=True)
class Finding:
    """The state of one package, program, device or disk.

    Attributes:
        name: The thing.
        state: ``present`` is there and was not tried, ``absent`` may be missing, and without what
            is ``broken`` nothing runs.
        found: Version, size, place or reason.
        note: What it enables, or what to do.
    """

    name: str
    state: Literal["ok", "present", "absent", "warning", "broken"]
    found: str
    note: str = ""
