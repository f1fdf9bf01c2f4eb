"""Fold classes that samples are asked for: from settings or data, to a model and into a file."""

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import accumulate
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool
from torch import Tensor

from domains.batch import Batch
from domains.errors import FewstepError
from domains.protein.conditions.told import told_to
from domains.protein.data.cath import LEVELS, CathMapping, level_key, mask_from_level, parse_code
from domains.protein.data.dataset import CathDomains
from domains.protein.settings import Told

__all__ = [
    "MatchedDomains",
    "agree",
    "check_known",
    "code_to_level",
    "condition_of",
    "drawn_level",
    "full_code",
    "known_part",
    "mapping_of",
    "overridden",
    "overriding",
]

_UNTOLD = 10  # one sample in so many is told no class


def full_code(code: str) -> str:
    """Return a code of four fields: "1.10" gives "1.10.x.x"."""
    fields = code.split(".")
    return ".".join(parse_code(".".join([*fields, *"x" * (4 - len(fields))])))


def agree(named: str, code: str) -> bool:
    """Return whether ``code`` lies in the class ``named``, whose x fields match any."""
    pairs = zip(parse_code(named), parse_code(code), strict=True)
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
                do="Ask for another one, or for none",
            )


def condition_of(*codes: str | None) -> dict[str, Any]:
    """Build the condition of a sample with fold classes such as "1.10", each once."""
    known = tuple(dict.fromkeys(full_code(code) for code in codes if code is not None))
    return {"cath_code": known} if known else {}


def overriding(
    mapping: CathMapping, forget: str, instead: str | None
) -> Callable[[Batch], tuple[Bool[Tensor, " b"], Batch]]:
    """Build a function that flags samples of class ``forget`` and relabels them ``instead``.

    Raises:
        FewstepError: The model knows no such class.
    """
    codes = [full_code(code) for code in (forget, instead) if code is not None]
    check_known(mapping, codes)
    return lambda batch: overridden(batch, codes[0], codes[1:])


def overridden(
    batch: Batch, forget: str, instead: Sequence[str]
) -> tuple[Bool[Tensor, " b"], Batch]:
    """Flag chains labelled with a class, or one within it, [b] and relabel them.

    Args:
        batch: Chains, with fold classes or without.
        forget: The class, a code of four fields.
        instead: The labels that take the place of theirs; none: no class.
    """
    codes = told_to(batch).get("cath_code", [[]] * len(batch.mask))
    forgotten = [any(agree(forget, code) for code in labels) for labels in codes]
    labels = [list(instead) if hit else own for hit, own in zip(forgotten, codes, strict=True)]
    relabelled = replace(batch, condition={**batch.condition, "cath_code": labels})
    return torch.tensor(forgotten, device=batch.mask.device), relabelled


def code_to_level(code: str, level: str) -> str:
    """Mask a C.A.T.H code below a level: "1.10.8.10" at A gives "1.10.x.x"."""
    return mask_from_level(code, LEVELS[LEVELS.index(level) + 1])


def drawn_level(told: Told, number: float) -> str | None:
    """Draw the CATH level of a sample's label; None for no label.

    Args:
        told: A level, or the shares of samples told nothing, C, C and A, and all three.
        number: Uniform in [0, 1): which sample it is.
    """
    if isinstance(told, str):
        return told
    pairs = zip((None, "C", "A", "T"), accumulate(told), strict=True)
    return next((level for level, end in pairs if number < end), "T")


def mapping_of(domains: CathDomains | None) -> CathMapping:
    """Number the classes, architectures and topologies that occur in the data, if any."""
    known = [code for code in (domains.cath if domains else ()) if not code.startswith("x")]
    levels = {level: sorted({level_key(code, level) for code in known}) for level in "CAT"}
    rows = {level: {code: row for row, code in enumerate(codes)} for level, codes in levels.items()}
    return CathMapping.from_dict(rows)


class MatchedDomains:
    """Real domains of about given lengths, whose fold classes label samples of these lengths.

    Args:
        domains: What to draw from.
        mapping: Classes that the teacher knows: what it does not know is not told.
        told: Level that nine samples of ten are told, C, A or T, or the shares of samples that are
            told nothing, C, C and A, and all three; None tells nothing.

    Raises:
        FewstepError: Classes are to be told, and the teacher knows none of the data's.
    """

    def __init__(self, domains: CathDomains, mapping: CathMapping, told: Told | None):
        self.domains, self._told = domains, told
        self._order = np.argsort(domains.lengths, kind="stable")
        self._lengths = domains.lengths[self._order]
        self._labels = {
            level: [known_part(code, mapping, level) for code in domains.cath] for level in "CAT"
        }
        if told is not None and not any(map(any, self._labels.values())):
            raise FewstepError(
                "the teacher knows no fold class of the data",
                do="Leave fold out of the student's section, or take another teacher",
            )

    def index(self, size: int, choice: int) -> int:
        """Return one of the domains whose lengths are nearest; ``choice`` says which."""
        distance = np.abs(self._lengths - size)
        near = np.flatnonzero(distance <= max(2, int(distance.min())))
        return int(self._order[near[choice // _UNTOLD % len(near)]])

    def label(self, size: int, choice: int) -> str | None:
        """Return the class of that domain, as far as ``choice`` says that it is told.

        A student has to know samples without a class, too: with a level, one in ten has none.
        """
        level = self._level(choice)
        return self._labels[level][self.index(size, choice)] if level else None

    def _level(self, choice: int) -> str | None:
        if self._told is None or isinstance(self._told, str):
            return None if choice % _UNTOLD == 0 else self._told
        return drawn_level(self._told, random.Random(choice).random())


def known_part(code: str, mapping: CathMapping, level: str | None) -> str | None:
    """Mask a C.A.T.H code below a level, and below what the model knows; None if nothing."""
    for each in ("C", "A", "T")[: LEVELS.index(level) + 1][::-1] if level else ():
        if level_key(code, each) in mapping.codes[each]:
            return code_to_level(code, each)
    return None
