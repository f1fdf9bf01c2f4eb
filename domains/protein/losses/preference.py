"""Preferences between protein samples: by quick quality, or by ProteinMPNN's likelihood."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from domains.batch import Batch, Sample
from domains.protein.evaluation import quick
from domains.protein.metrics.designability.proxy import Proxy

__all__ = ["ByCrossNLL", "by_quality"]


def by_quality(points: Float[Tensor, "b n 3"], batch: Batch) -> Float[Tensor, " b"]:
    """Return the quick quality of each chain (see ``evaluation.quick``)."""
    scores = [quick([Sample("", chain)])["quality"] for chain in _chains(points, batch)]
    return torch.tensor(scores, device=points.device)


@dataclass(frozen=True)
class ByCrossNLL:
    """Minus the cross NLL of each chain, nat per residue (see ``metrics.proxy``).

    All chains get the same seed, so that two of a pair differ by their structures and as little
    as may be by what was drawn for their sequences. It runs on the CPU, about half a second of a
    core for each chain of 60 residues, and NaN stands for a chain that isn't finite.

    Args:
        proxy: The two networks.
    """

    proxy: Proxy

    def __call__(self, points: Float[Tensor, "b n 3"], batch: Batch) -> Float[Tensor, " b"]:
        """Return the score of each chain; higher is better."""
        scores = [-self.proxy.cross_nll(chain.numpy()) for chain in _chains(points, batch)]
        return torch.tensor(scores, device=points.device)


def _chains(points: Tensor, batch: Batch) -> Iterator[Tensor]:
    """Yield each chain without padding."""
    for chain, real in zip(points.detach().cpu(), batch.mask.cpu(), strict=True):
        yield chain[real]
