"""One line of a check-up."""

from dataclasses import dataclass
from typing import Literal

__all__ = ["Finding"]


@dataclass(frozen=True)
class Finding:
    """What was found of one thing.

    Attributes:
        name: The thing.
        state: ``absent`` is what may be missing; ``broken`` is what nothing runs without.
        found: Version, size, place or reason.
        note: What it enables, or what to do.
    """

    name: str
    state: Literal["ok", "absent", "warning", "broken"]
    found: str
    note: str = ""
