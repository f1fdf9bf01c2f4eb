"""TM-align of two chains of any length (Zhang & Skolnick, Nucleic Acids Res. 33 (2005) 2302).

It runs through the optional package tmtools (GPL-3, 14 ms a pair at 110 residues) or, without
it, as the program ``TMalign`` of Debian's ``tm-align``.
"""

import re
import shutil
import subprocess
import tempfile
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Float

from domains.errors import FewstepError
from domains.protein.files.structure import format_pdb
from domains.protein.metrics.geometry.chain import check_chain

__all__ = ["SHORTEST", "Normalise", "engine", "tm_align"]

Normalise = Literal["query", "mean", "max", "min"]
SHORTEST = 5  # residues of a chain that TM-align takes
_PROGRAM = "TMalign"
_WIDEST = 99.999  # nm from the origin: what the columns of a PDB file hold on either side
_DATE = re.compile(r"Version (\d{8})")
_SCORE = re.compile(r"^TM-score=\s*([0-9.]+)\s*\(.*?(?:Chain|Structure)_([12])\b", re.M)


def engine() -> str:
    """Return the name of the TM-align in use, for the ``tool`` column.

    Raises:
        FewstepError: Neither the package nor the program is installed.
    """
    if package := _package():
        return package
    if program := shutil.which(_PROGRAM):
        return f"{_PROGRAM} {_release(program)}"
    raise FewstepError(
        "TM-align is missing",
        expected=f"the package tmtools or the program {_PROGRAM}",
        do="Install one: pip install tmtools (GPL-3), or apt-get install tm-align",
    )


@cache
def _package() -> str:
    """Return the package's name and version, or nothing; reading them takes .2 ms."""
    try:
        return f"tmtools {version('tmtools')}"
    except PackageNotFoundError:
        return ""


@cache
def _release(program: str) -> str:
    """Return the date that the program says it is of, as all releases do without arguments."""
    done = subprocess.run([program], capture_output=True, text=True, check=False)
    found = _DATE.search(done.stdout + done.stderr)
    return found[1] if found else "of unknown version"


def tm_align(
    a: Float[np.ndarray, "n 3"], b: Float[np.ndarray, "m 3"], normalise: Normalise = "query"
) -> float:
    """Return the TM-score of the best alignment that TM-align finds.

    Args:
        a: Cα coordinates of the query, nanometre.
        b: Cα coordinates of the other chain, nanometre.
        normalise: The length that the score is divided by: ``query`` (of ``a``), or the
            ``mean``, ``max`` or ``min`` of the scores by either length. The score by the
            query says how much of the query is explained; a bigger ``b`` may contain it.

    Raises:
        FewstepError: TM-align is missing, or a chain is not finite, below 5 residues or, for the
            program, too wide or long for a PDB file.
    """
    by_a, by_b = _align(check_chain(a, least=SHORTEST), check_chain(b, least=SHORTEST))
    scores = {
        "query": by_a,
        "mean": (by_a + by_b) / 2,
        "max": max(by_a, by_b),
        "min": min(by_a, by_b),
    }
    return scores[normalise]


def _align(a: Float[np.ndarray, "n 3"], b: Float[np.ndarray, "m 3"]) -> tuple[float, float]:
    """Return the TM-scores by the length of ``a`` and of ``b``; TM-align takes angstrom."""
    if engine().startswith(_PROGRAM):
        return _align_by_program(a, b)
    from tmtools import tm_align as align

    names = "A" * len(a), "A" * len(b)  # TM-align compares positions, not residue types
    result = align(np.ascontiguousarray(a * 10), np.ascontiguousarray(b * 10), *names)
    return float(result.tm_norm_chain1), float(result.tm_norm_chain2)


def _align_by_program(
    a: Float[np.ndarray, "n 3"], b: Float[np.ndarray, "m 3"]
) -> tuple[float, float]:
    """Return both TM-scores from the TMalign program."""
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / "a.pdb", Path(folder) / "b.pdb"]
        for file, chain in zip(files, (a, b), strict=True):
            file.write_text(format_pdb(_centred(chain)))
        done = subprocess.run(
            [_PROGRAM, *map(str, files)], capture_output=True, text=True, check=False
        )
    scores = {which: float(value) for value, which in _SCORE.findall(done.stdout)}
    if done.returncode or set(scores) != {"1", "2"}:
        raise FewstepError(
            f"{_PROGRAM} gave no scores",
            expected="two lines 'TM-score='",
            got=(done.stderr or done.stdout).strip()[-200:] or f"exit code {done.returncode}",
            do="Run it by hand, or install tmtools",
        )
    return scores["1"], scores["2"]


def _centred(chain: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n 3"]:
    """Move the chain's mean to the origin, or its middle where only that fits a PDB file."""
    centred = chain - chain.mean(0)
    if np.abs(centred).max() > _WIDEST:
        return chain - (chain.min(0) + chain.max(0)) / 2
    return centred
