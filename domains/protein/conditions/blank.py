"""Batches of chains that have no coordinates yet: what a sampler starts from."""

from collections.abc import Sequence

import torch

from domains.batch import Batch, Request
from domains.protein.conditions.scaffold import motif_tensors
from domains.protein.conditions.told import asked_of

__all__ = ["blank_chains"]


def blank_chains(requests: Sequence[Request]) -> Batch:
    """Return a mask [b, n] of chains of these lengths, and their fold classes and motifs if given.

    n is the longest chain's length in residues.
    """
    sizes = [request.size for request in requests]
    mask = torch.arange(max(sizes)) < torch.tensor(sizes)[:, None]
    codes = [list(asked_of(request).get("cath_code", [])) for request in requests]
    told = motif_tensors([asked_of(request).get("motif") for request in requests], mask)
    return Batch(mask=mask, condition={**({"cath_code": codes} if any(codes) else {}), **told})
