"""CATH fold codes: "class.architecture.topology.homology", "x" for an unknown field.

Fold classes condition the Proteina teachers (arXiv 2503.00710, section 3.2).
"""

import json
import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from domains.errors import FewstepError
from domains.files.model_files import existing_file
from domains.files.provenance import write_json
from domains.files.safe_archive import load_archive

__all__ = [
    "LEVELS",
    "CathMapping",
    "drop_levels",
    "level_key",
    "mask_from_level",
    "mask_level",
    "mask_probabilities",
    "parse_code",
]

LEVELS = ("C", "A", "T", "H")
_EMBEDDED = LEVELS[:3]
_FIELD = re.compile(r"x|[1-9][0-9]{0,5}", re.ASCII)


@lru_cache(maxsize=1 << 14)
def parse_code(code: str) -> tuple[str, str, str, str]:
    """Return the four fields of a code such as "1.10.8.10" or "1.10.x.x".

    Raises:
        FewstepError: Not four fields, or a field is neither a positive number nor "x".
    """
    fields = code.split(".")
    if len(fields) != 4 or not all(_FIELD.fullmatch(field) for field in fields):
        raise FewstepError(
            "not a CATH code",
            expected='four fields, each a number or "x", such as 1.10.8.10 or 1.10.x.x',
            got=repr(code)[:60],
        )
    return fields[0], fields[1], fields[2], fields[3]


def level_key(code: str, level: str) -> str:
    """Return the leading fields of a code down to ``level``: ("1.10.8.10", "A") gives "1.10"."""
    return ".".join(parse_code(code)[: _depth(level) + 1])


def mask_level(code: str, level: str) -> str:
    """Return the code with the field of ``level`` replaced by "x"."""
    fields = list(parse_code(code))
    fields[_depth(level)] = "x"
    return ".".join(fields)


def mask_from_level(code: str, level: str) -> str:
    """Return the code with the field of ``level`` and all finer ones replaced by "x"."""
    depth = _depth(level)
    return ".".join([*parse_code(code)[:depth], *"x" * (4 - depth)])


def mask_probabilities(ratios: Sequence[float | int]) -> tuple[float, float, float]:
    """Turn shares of label depths into nested masking probabilities.

    T is masked first, A only where T is, C only where A is; so each probability is
    conditional: P(T) = 1 - r_CAT, P(A) = (r_0 + r_C) / (r_0 + r_C + r_CA),
    P(C) = r_0 / (r_0 + r_C).

    Args:
        ratios: Shares (r_0, r_C, r_CA, r_CAT) of samples with no label, C only, C and A,
            and all of C, A, T; they sum to 1.

    Returns:
        Probabilities for T, A and C; 0 for a level that is never reached.

    Raises:
        FewstepError: Not four shares in [0, 1] that sum to 1.
    """
    if len(ratios) != 4 or not all(0 <= r <= 1 for r in ratios) or abs(sum(ratios) - 1) > 1e-6:
        raise FewstepError(
            "bad CATH label ratios", expected="four shares in [0, 1] with sum 1", got=list(ratios)
        )
    none, only_c, only_ca, full = map(float, ratios)
    below_t = none + only_c + only_ca
    below_a = none + only_c
    return 1 - full, below_a / below_t if below_t else 0.0, none / below_a if below_a else 0.0


def drop_levels(code: str, probabilities: tuple[float, float, float], rng: random.Random) -> str:
    """Mask H, then T, A and C in turn, each with its probability and only after the one before.

    Args:
        code: A CATH code.
        probabilities: For T, A, C, as ``mask_probabilities`` gives them.
        rng: Source of randomness; drawn from only as deep as the masking goes.

    Returns:
        The masked code.
    """
    masked = mask_level(code, "H")
    for level, probability in zip("TAC", probabilities, strict=True):
        if rng.random() >= probability:
            break
        masked = mask_level(masked, level)
    return masked


def _depth(level: str) -> int:
    if level not in LEVELS:
        raise FewstepError("unknown CATH level", expected="one of C, A, T, H", got=repr(level))
    return LEVELS.index(level)


@dataclass(frozen=True)
class CathMapping:
    """Rows of the fold-embedding tables: level (C, A, T) to code to row.

    Args:
        codes: For each level, the row of every known code: 0 to ``classes[level] - 1``.
        classes: Number of classes per level; the null row comes after them.
    """

    codes: Mapping[str, Mapping[str, int]]
    classes: Mapping[str, int]

    @classmethod
    def from_dict(cls, content: Any, classes: Mapping[str, int] | None = None) -> "CathMapping":
        """Check and build a mapping.

        Args:
            content: Parsed JSON, ``{"C": {"1": 0, ...}, "A": {"1.10": 0, ...}, "T": {...}}``.
            classes: Number of classes where the tables are known but not (all) the codes:
                enough for sampling without labels. Default: the number of codes.

        Raises:
            FewstepError: A level is missing or an index is out of range or given twice.
        """
        if not isinstance(content, Mapping) or set(content) != set(_EMBEDDED):
            raise FewstepError("bad CATH mapping", expected="levels C, A, T", got=_shape(content))
        sizes = {level: len(content[level]) for level in _EMBEDDED} | dict(classes or {})
        for level in _EMBEDDED:
            _check_level(level, content[level], sizes[level])
        return cls({level: dict(content[level]) for level in _EMBEDDED}, sizes)

    @classmethod
    def read(cls, path: Path) -> "CathMapping":
        """Read the mapping from JSON as ``write`` leaves it, or Proteina's own (.pt)."""
        if path.suffix in (".pt", ".pth"):
            content = load_archive(existing_file(path))
        else:
            try:
                content = json.loads(path.read_text(encoding="utf-8"))
            except (OSError, ValueError, RecursionError) as error:
                raise FewstepError(f"can't read CATH mapping {path}", got=error) from error
        try:
            return cls.from_dict(content)
        except FewstepError as error:
            raise FewstepError(f"can't use CATH mapping {path}", got=str(error)[:300]) from error

    def write(self, path: Path) -> None:
        """Write the mapping as JSON, atomically."""
        write_json(path, self.to_dict())

    def to_dict(self) -> dict[str, dict[str, int]]:
        """Return level to code to row as plain dictionaries."""
        return {level: dict(self.codes[level]) for level in _EMBEDDED}

    def index(self, code: str, level: str) -> int:
        """Return the row of a code at ``level``; unknown or masked codes get the null row."""
        return self.codes[level].get(level_key(code, level), self.classes[level])

    def indices(self, code: str | None) -> tuple[int, int, int]:
        """Return the rows for C, A and T; all null where the code is None."""
        if code is None:
            return self.classes["C"], self.classes["A"], self.classes["T"]
        return self.index(code, "C"), self.index(code, "A"), self.index(code, "T")


def _shape(content: Any) -> Any:
    return sorted(map(str, content)) if isinstance(content, Mapping) else type(content).__name__


def _check_level(level: str, codes: Any, size: Any) -> None:
    if not isinstance(codes, Mapping):
        raise FewstepError(f"bad CATH level {level}", expected="codes to rows", got=_shape(codes))
    rows = list(codes.values())
    whole = all(type(row) is int for row in rows)
    if type(size) is not int or not whole or not all(0 <= row < size for row in rows):
        raise FewstepError(f"bad rows at CATH level {level}", expected=f"integers 0 to {size} - 1")
    if len(set(rows)) != len(rows):
        raise FewstepError(f"a row is given twice at CATH level {level}", expected="one per code")
    for key in codes:
        fields = str(key).split(".")
        if len(fields) != _depth(level) + 1 or not all(_FIELD.fullmatch(f) for f in fields):
            raise FewstepError(
                f"bad code at CATH level {level}",
                expected=f"{_depth(level) + 1} fields",
                got=repr(key),
            )
