"""Facts and gallery of an evaluated set: of the kinds that the report shows."""

from pathlib import Path
from typing import Any

from domains.errors import FewstepError

__all__ = ["LARGEST", "check_facts", "check_gallery"]

_TEXTS = ("run", "domain", "label", "model", "sampler", "source", "created")
_NUMBERS = ("steps", "noise_scale", "n", "made", "seconds_per_sample", "network_calls", "skipped")
LARGEST = 1e100  # what no axis can show, and nothing measures


def check_facts(facts: dict[str, Any], path: Path) -> None:
    """Refuse facts of ``set.json`` that are of another kind; those that are absent are fine.

    Raises:
        FewstepError: One is; it is named.
    """
    for name in _TEXTS:
        _check(path, name, facts.get(name), isinstance(facts.get(name), str), "text")
    for name in _NUMBERS:
        _check(path, name, facts.get(name), _is_number(facts.get(name)), "a number")
    seeds, versions = facts.get("seeds"), facts.get("versions")
    right = isinstance(seeds, list) and all(map(_is_number, seeds))
    _check(path, "seeds", seeds, right, "a list of numbers")
    _check(path, "versions", versions, isinstance(versions, dict), "an object")


def check_gallery(content: dict[str, Any], path: Path) -> None:
    """Refuse a gallery whose scenes and matrices are no lists of objects.

    Raises:
        FewstepError: It has others.
    """
    for name in ("scenes", "matrices"):
        value = content.get(name)
        right = isinstance(value, list) and all(isinstance(one, dict) for one in value)
        if name in content:
            _check(path, name, value if value is not None else "null", right, "a list of objects")


def _is_number(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return abs(float(value)) < LARGEST
    except OverflowError:
        return False


def _check(path: Path, name: str, value: Any, right: bool, expected: str) -> None:
    if value is not None and not right:
        raise FewstepError(
            f"{path} has a wrong {name}",
            expected=expected,
            got=value,
            do="Run the evaluate stage again",
        )
