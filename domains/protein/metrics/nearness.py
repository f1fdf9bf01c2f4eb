"""How near samples are to natives in composition and cross NLL, to choose a sampler by.

Cross NLL alone rewards bundles of helices, and composition alone says nothing of detail, so
both count, each in units of its spread among natives.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from domains.batch import Request, Sample
from domains.errors import FewstepError
from domains.protein.conditions.folds import agree
from domains.protein.conditions.told import asked_of
from domains.protein.data.dataset import CathDomains
from domains.protein.metrics.designability.proxy import Proxy
from domains.protein.metrics.geometry import chain as geometry
from domains.protein.metrics.geometry import secondary_structure

__all__ = ["Nearness", "matched", "nearness_to"]

_log = logging.getLogger(__name__)
# A native of less than this share of a sample's length, or of more than its inverse, is no peer.
_PEER = 0.8


def matched(
    domains: CathDomains, requests: Sequence[Request], seed: int
) -> list[Float[np.ndarray, "_ 3"]]:
    """Return a domain for each request, nm: the nearest in length, of a fold that was asked for.

    None is taken twice. A warning says how many are of another length than their sample's.

    Raises:
        FewstepError: There are fewer domains of a fold than requests for it.
    """
    left = np.random.default_rng(seed).permutation(len(domains)).tolist()
    found, strange = [], 0
    for request in requests:
        codes = asked_of(request).get("cath_code", ())
        fit = [k for k in left if not codes or any(agree(c, domains.cath[k]) for c in codes)]
        if not fit:
            raise FewstepError(
                f"too few training domains to compare with {request.name}",
                got=f"{len(found)} for {len(requests)} samples",
                do="Ask for fewer samples in the set's sampler, or judge: quick",
            )
        nearest = min(fit, key=lambda k: abs(int(domains.lengths[k]) - request.size))
        left.remove(nearest)
        share = int(domains.lengths[nearest]) / request.size
        strange += not _PEER <= share <= 1 / _PEER
        found.append(np.asarray(domains.points(nearest), dtype=np.float64))
    if strange:
        _log.warning("%d of %d samples have no native of about their length", strange, len(found))
    return found


@dataclass(frozen=True)
class Nearness:
    """Compares samples with natives.

    With z the difference of the means of samples and natives over the natives' standard deviation,

        distance = sqrt((z_helix² + z_strand² + max(0, z_cross_nll)²) / 3),
        quality = bond_fraction · mean 1/(1 + clashes) / (1 + distance).

    A cross NLL below the natives' is no fault, and no merit.

    Attributes:
        proxy: What finds the cross NLL.
        mean: Of the natives: helix, strand, cross NLL.
        deviation: Their standard deviations.
    """

    proxy: Proxy
    mean: Float[np.ndarray, " 3"]
    deviation: Float[np.ndarray, " 3"]

    def __call__(self, samples: Sequence[Sample]) -> dict[str, float]:
        """Return quality, distance and cross NLL of samples; a chain that isn't finite is NaN."""
        chains = [sample.points.numpy().astype(np.float64) for sample in samples]
        means = _described(chains, self.proxy).mean(0)
        z = (means - self.mean) / self.deviation
        z[-1] = max(0.0, z[-1])
        distance = float(np.sqrt(np.mean(z**2)))
        shapes = [geometry.describe(chain) for chain in chains]
        bonds = float(np.mean([one["bond_fraction"] for one in shapes]))
        clean = float(np.mean([1 / (1 + one["clashes"]) for one in shapes]))
        quality = bonds * clean / (1 + distance)
        return {"quality": quality, "distance": distance, "cross_nll": float(means[-1])}


def nearness_to(natives: Sequence[Float[np.ndarray, "_ 3"]], proxy: Proxy) -> Nearness:
    """Return what compares samples with these natives, at least two, nm."""
    rows = _described(natives, proxy)
    # Natives of one class may have no strand at all.
    return Nearness(proxy, rows.mean(0), np.maximum(rows.std(0, ddof=1), 0.01))


def _described(chains: Sequence[np.ndarray], proxy: Proxy) -> Float[np.ndarray, "s 3"]:
    """Return helix, strand and cross NLL of each chain."""
    rows = []
    for chain in chains:
        content = secondary_structure.describe(chain)
        rows.append([content["helix"], content["strand"], proxy.cross_nll(chain)])
    return np.array(rows, dtype=np.float64)
