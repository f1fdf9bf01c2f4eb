"""Settings of what samples are asked to be: a fold class, a motif."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from domains.protein.conditions.contig import readable_contig
from domains.settings import Config

__all__ = ["PACKED", "TRAINING_DOMAINS", "FoldDistribution", "Scaffold", "Told"]

# What a name of a packed domain starts with.
PACKED = "cath:"
# The distribution of the run's own data.
TRAINING_DOMAINS = "cath"

_Share = Annotated[float, Field(ge=0, le=1)]


def _whole(shares: tuple[float, ...]) -> tuple[float, ...]:
    if abs(sum(shares) - 1) > 1e-6:
        raise ValueError(f"shares must sum to 1, not {sum(shares):g}")
    return shares


# A level of CATH, or the shares of samples that are told nothing, C, C and A, and C, A and T.
Told = (
    Literal["C", "A", "T"]
    | Annotated[tuple[_Share, _Share, _Share, _Share], AfterValidator(_whole)]
)


class FoldDistribution(Config):
    """Fold classes drawn for each sample, as they occur among proteins of about its length."""

    distribution: str = Field(min_length=1)
    """`cath`: the run's training domains; or a file of Proteina's, such as
    `D_FS_afdb_cath_codes.pth`: pairs of a length and its CATH codes."""
    told: Told = "T"
    """The level of CATH down to which each sample is told its class; or four numbers, the shares of
    samples that are told nothing, C, C and A, and all of C, A, T."""


class Scaffold(Config):
    """A motif, and the chains to be designed around it."""

    structure: str
    """PDB or mmCIF file that the motif is of, or a packed domain: `cath:1abcA01` is its chain A
    with residues from 1."""
    contig: Annotated[str, AfterValidator(readable_contig)]
    """Where its residues sit, such as `10-30/A14-25/5/A40-44/10-30`: a letter starts residues of a
    chain, anything else is how many new ones; each sample has a length of `lengths`. Chains and
    residues are named as in the file: `A-5-3` from −5 to 3, `H111A-112` with insertion codes in the
    file's order, `AA14`, `_14` of a chain without a name, `A1:14-16` of one with digits."""
