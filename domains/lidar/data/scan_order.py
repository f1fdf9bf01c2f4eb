"""The order of the scans of a sequence: that of the numbers in their names.

Poses and times have no names, they only come in order; so a wrong order gives each scan the pose
of another one. Names in order of their letters are in order of their numbers only where these are
padded: 10.bin comes before 9.bin.
"""

import re
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path

from domains.errors import FewstepError

__all__ = ["belongs", "in_number_order"]

_NUMBER = re.compile(r"([0-9]+)")
_PAD = "Pad their numbers with zeros: 000009, 000010"


def belongs(path: Path, suffixes: Sequence[str]) -> bool:
    """Tell whether a file is of these kinds, in capitals too, and not a hidden one.

    What macOS leaves beside ``x.bin`` on other disks is ``._x.bin``.
    """
    return path.suffix.lower() in suffixes and not path.name.startswith(".")


def in_number_order(paths: Iterable[Path]) -> tuple[Path, ...]:
    """Return files in the order of the numbers in their names.

    Raises:
        FewstepError: Two have the same numbers, or it isn't clear which comes first: names that
            differ in more than their numbers, or whose numbers may be fractions.
    """
    by_letter = sorted(paths)
    by_number = sorted(by_letter, key=_numbers)
    for one, other in pairwise(by_number):
        if _numbers(one) == _numbers(other) and _shape(one) == _shape(other):
            raise FewstepError(f"{one} and {other.name} have the same number", do=_PAD)
    if by_number == by_letter:
        return tuple(by_letter)
    one, other = next(
        (one, other) for one, other in zip(by_letter, by_number, strict=True) if one != other
    )
    if len({_shape(path) for path in by_letter}) > 1 or _fractions(by_letter):
        raise FewstepError(f"it isn't clear which of {one} and {other.name} comes first", do=_PAD)
    return tuple(by_number)


def _shape(path: Path) -> str:
    """Return a name with a mark in the place of each number."""
    return _NUMBER.sub("0", path.stem)


def _numbers(path: Path) -> tuple[int, ...]:
    return tuple(int(number) for number in _NUMBER.findall(path.stem))


def _fractions(paths: Sequence[Path]) -> bool:
    """Tell whether there may be decimal fractions, such as 12.5 s, of different lengths."""
    found = [re.findall(r"[0-9]+\.([0-9]+)", path.stem) for path in paths]
    return len({tuple(map(len, fractions)) for fractions in found}) > 1
