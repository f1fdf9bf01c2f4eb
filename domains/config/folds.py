"""Settings of fold classes: which samples are asked for, and how much of a class is told."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from domains.config.base import Config

__all__ = ["TRAINING_DOMAINS", "FoldDistribution", "Told"]

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
