"""Secondary structure and burial that a sequence asks for, by the program ``reprof``.

Debian package ``reprof`` (GPL-3, Rost & Hönigschmid), called as a program and only where it is
installed (``apt install reprof``); it ships its trained networks. From a single sequence,
without an alignment, it is a weak judge, so its columns are reported and gate nothing.
"""

import os
import shutil
import subprocess
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float
from scipy.stats import rankdata

from domains.errors import FewstepError
from domains.protein.metrics.geometry.chain import check_chain
from domains.protein.metrics.geometry.secondary_structure import assign

__all__ = ["agreement", "installed", "predict"]

CONTACT_RADIUS = 1.0  # nm; Cα within it count as burying neighbours
_SAME = {"a": "H", "b": "E", "c": "L"}  # P-SEA's letters in reprof's


def installed() -> bool:
    """Return whether the program can be called."""
    return shutil.which("reprof") is not None


def predict(sequence: str) -> tuple[str, Float[np.ndarray, " n"]]:
    """Return the predicted states (H, E, L) and relative accessibility in percent.

    Raises:
        FewstepError: The program is missing, fails, or answers in another format.
    """
    with tempfile.TemporaryDirectory() as name:
        source, target = Path(name) / "in.fasta", Path(name) / "out.reprof"
        source.write_text(f">design\n{sequence}\n", encoding="ascii")
        try:
            subprocess.run(
                ["reprof", "-i", str(source), "-o", str(target)],
                check=True,
                capture_output=True,
                timeout=120,
                env={**os.environ, "LC_ALL": "C"},
            )
            lines = target.read_text(encoding="ascii").splitlines()
        except (OSError, subprocess.SubprocessError) as error:
            raise FewstepError(
                "reprof failed", got=str(error), do="Install it: apt install reprof"
            ) from error
    rows = [line.split() for line in lines if line and not line.startswith("#")]
    columns = rows[0] if rows else []
    if not {"AA", "PHEL", "PREL"} <= set(columns) or len(rows) != len(sequence) + 1:
        raise FewstepError(
            "output of reprof",
            expected=f"columns AA, PHEL, PREL and {len(sequence)} rows",
            got=f"{columns} and {len(rows) - 1} rows",
        )
    table = dict(zip(columns, zip(*rows[1:], strict=True), strict=True))
    return "".join(table["PHEL"]), np.array(table["PREL"], dtype=float)


def agreement(points: Float[np.ndarray, "n 3"], sequences: Sequence[str]) -> dict[str, float]:
    """Measure the agreement of a structure with predictions from its designed sequences.

    Args:
        points: Cα coordinates [n, 3], nm.
        sequences: Sequences designed for it; the majority state and the mean accessibility
            over them are compared.

    Returns:
        ``reprof_states``: share of residues whose P-SEA state is the predicted one;
        ``reprof_burial``: Spearman's rho of predicted burial and Cα neighbours within 1 nm.
    """
    chain = check_chain(points, least=5)
    states, accessible = zip(*(predict(sequence) for sequence in sequences), strict=True)
    majority = [Counter(column).most_common(1)[0][0] for column in zip(*states, strict=True)]
    own = [_SAME[letter] for letter in assign(chain)]
    distances = np.linalg.norm(chain[:, None] - chain[None], axis=-1)
    near = (distances <= CONTACT_RADIUS).sum(1)
    # Spearman's rho is Pearson's of the ranks.
    rho = np.corrcoef(rankdata(-np.mean(accessible, axis=0)), rankdata(near))[0, 1]
    return {
        "reprof_states": float(np.mean([a == b for a, b in zip(own, majority, strict=True)])),
        "reprof_burial": float(rho),
    }
