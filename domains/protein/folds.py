"""Fold classes that samples are asked for: from settings or data, to a model and into a file."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from domains.errors import FewstepError
from domains.protein.cath import LEVELS, CathMapping, level_key, mask_from_level, parse_code
from domains.protein.dataset import CathDomains

__all__ = [
    "FoldSource",
    "agree",
    "check_known",
    "condition_of",
    "full_code",
    "read_remark",
    "remark",
    "told",
]

_REMARK = "REMARK  99 CATH "
_UNTOLD = 10  # one sample in so many is told no class


def full_code(code: str) -> str:
    """Return a code of four fields: "1.10" gives "1.10.x.x"."""
    fields = code.split(".")
    return ".".join(parse_code(".".join([*fields, *"x" * (4 - len(fields))])))


def agree(asked: str, found: str) -> bool:
    """Return whether a code is of the class that another, with unknown fields, names."""
    pairs = zip(parse_code(asked), parse_code(found), strict=True)
    return all(mine in ("x", theirs) for mine, theirs in pairs)


def check_known(mapping: CathMapping, codes: Sequence[str]) -> None:
    """Refuse fold classes that a model was not trained with.

    Raises:
        FewstepError: It knows no such class, or no class at all.
    """
    for code in codes:
        fields = parse_code(code)
        named = sum(field != "x" for field in fields[:3])
        level = LEVELS[max(0, named - 1)]
        if level_key(code, level) not in mapping.codes[level]:
            known = sorted(mapping.codes[level])[:12]
            raise FewstepError(
                f"the model knows no fold class {level_key(code, level)}",
                expected=f"one of {', '.join(known)}" if known else "none: it has no classes",
                got=code,
                do="Ask for another one in generate.fold, or for none",
            )


def condition_of(code: str | None) -> dict[str, tuple[str, ...]]:
    """Return what a denoiser is told of a fold class such as "1.10"."""
    return {} if code is None else {"cath_code": (full_code(code),)}


def told(code: str, level: str | None) -> str | None:
    """Return a domain's code down to a level; None for no level."""
    return None if level is None else mask_from_level(code, LEVELS[LEVELS.index(level) + 1])


class FoldSource:
    """Draws the fold class of a real domain of about a given length; one in ten times none.

    Args:
        domains: Labelled domains.
        level: Finest level that is told: C, A or T.
    """

    def __init__(self, domains: CathDomains, level: str):
        labelled = [i for i, code in enumerate(domains.cath) if not code.startswith("x")]
        if not labelled:
            raise FewstepError("the data have no fold classes", do="Train without fold")
        order = sorted(labelled, key=lambda index: int(domains.lengths[index]))
        self._lengths = domains.lengths[order]
        self._codes = [told(domains.cath[index], level) for index in order]

    def near(self, size: int, draw: int) -> str | None:
        """Return the code of one of the domains whose lengths are nearest; ``draw`` says which.

        None is for guidance: a student has to know both.
        """
        if draw % _UNTOLD == 0:
            return None
        draw //= _UNTOLD
        distance = np.abs(self._lengths - size)
        near = np.flatnonzero(distance <= max(2, int(distance.min())))
        return self._codes[int(near[draw % len(near)])]


def remark(code: str) -> str:
    """Return the line of a PDB file that says what a sample was asked to be."""
    return f"{_REMARK + code:80}"


def read_remark(path: Path) -> str | None:
    """Return what the sample in a PDB file was asked to be, if anything."""
    with path.open(encoding="utf-8", errors="replace") as stream:
        first = stream.readline()
    return first.removeprefix(_REMARK).strip() if first.startswith(_REMARK) else None
