"""What chains are told and asked to be, by the names under which batches carry it."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict, cast

from domains.batch import Batch, Request, Sample

if TYPE_CHECKING:
    from torch import Tensor

    from domains.protein.conditions.scaffold import Motif

__all__ = ["ChainCondition", "ProteinCondition", "asked_of", "told_to"]


class ProteinCondition(TypedDict, total=False):
    """What a network is told about a batch of b chains of n residues; each may be absent.

    Attributes:
        cath_code: CATH codes of each chain; an empty list is none.
        motif_mask: Residues whose places are given [b, n].
        x_motif: Their coordinates in nm, 0 elsewhere [b, n, 3].
        motif_pairs: Pairs of residues that belong to one rigid part of the motif [b, n, n].
    """

    cath_code: list[list[str]]
    motif_mask: Tensor
    x_motif: Tensor
    motif_pairs: Tensor


class ChainCondition(TypedDict, total=False):
    """What one chain is asked to be.

    Attributes:
        cath_code: Its CATH codes.
        motif: Residues that it has to hold.
    """

    cath_code: list[str]
    motif: Motif


def told_to(batch: Batch) -> ProteinCondition:
    """Return the condition of a batch of chains by its typed names."""
    return cast("ProteinCondition", batch.condition)


def asked_of(chain: Request | Sample) -> ChainCondition:
    """Return what one chain is asked to be, by its typed names."""
    return cast("ChainCondition", chain.condition)
