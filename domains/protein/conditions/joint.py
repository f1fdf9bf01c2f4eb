"""Joint distribution of fold class and length, as Proteina samples it (arXiv 2503.00710)."""

import random
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from domains.errors import FewstepError
from domains.files.model_files import existing_file
from domains.files.safe_archive import load_archive
from domains.protein.conditions.folds import full_code
from domains.protein.data.dataset import CathDomains

__all__ = ["JointDistribution"]

# Proteina's buckets: nine of 25 residues, from 50 to 274; what is outside counts to the nearest.
_SHORTEST, _LONGEST, _WIDTH = 50, 274, 25


class JointDistribution:
    """Fold classes of proteins, by buckets of their lengths.

    Args:
        pairs: Length in residues and CATH codes of each protein; those without codes don't count.

    Raises:
        FewstepError: No protein has a code.
    """

    def __init__(self, pairs: Iterable[tuple[int, tuple[str, ...]]]):
        self._codes: dict[int, list[tuple[str, ...]]] = defaultdict(list)
        for length, codes in pairs:
            if codes:
                self._codes[_bucket(length)].append(codes)
        if not self._codes:
            raise FewstepError("a distribution of fold classes in which no protein has one")

    @classmethod
    def of(cls, domains: CathDomains) -> "JointDistribution":
        """Return that of packed domains; those of unknown class don't count."""
        pairs = zip(domains.lengths.tolist(), domains.cath, strict=True)
        return cls((length, () if code.startswith("x") else (code,)) for length, code in pairs)

    @classmethod
    def read(cls, path: Path) -> "JointDistribution":
        """Read a file of Proteina's: ``torch.save`` of a list of [length, codes].

        The codes of a protein are a list, of one for each of its domains, or one string.

        Raises:
            FewstepError: The file is missing, damaged, or holds something else.
        """
        content = load_archive(existing_file(path))
        if not isinstance(content, list):
            raise _not_pairs(path, type(content).__name__)
        pairs = [_pair(path, entry) for entry in content]
        if not any(codes for _, codes in pairs):
            raise _not_pairs(path, "none with a code")
        return cls(pairs)

    def draw(self, size: int, stream: random.Random) -> tuple[str, ...]:
        """Return the codes of a protein of about ``size`` residues, all as likely."""
        wanted = _bucket(size)
        nearest = min(self._codes, key=lambda bucket: (abs(bucket - wanted), bucket))
        return stream.choice(self._codes[nearest])


def _bucket(length: int) -> int:
    return (min(max(length, _SHORTEST), _LONGEST) - _SHORTEST) // _WIDTH


def _pair(path: Path, entry: object) -> tuple[int, tuple[str, ...]]:
    """Return a checked entry of a file, its codes with four fields."""
    if not isinstance(entry, list | tuple) or len(entry) != 2:
        raise _not_pairs(path, f"an entry that is a {type(entry).__name__}")
    length, given = entry
    codes = [given] if isinstance(given, str) else given
    if type(length) is not int or length < 1:
        raise _not_pairs(path, "a length that is no whole number from 1")
    if not isinstance(codes, list | tuple) or not all(isinstance(code, str) for code in codes):
        raise _not_pairs(path, "codes that are no text")
    try:
        return length, tuple(full_code(code) for code in codes)
    except FewstepError as error:
        raise _not_pairs(path, error) from error


def _not_pairs(path: Path, got: object) -> FewstepError:
    return FewstepError(
        f"{path} is no distribution of lengths and fold classes",
        expected="a list of pairs of a length and its CATH codes, saved by torch",
        got=got,
    )
