"""Plain descriptors of a chain, to compare distributions where no fold classifier is at hand.

``descriptor_frechet`` and ``sse_class_jsd`` are to FPSD and fJSD what a sketch is to a picture:
the same distances, over six numbers that need no network. They are never those metrics.
"""

import numpy as np
from jaxtyping import Float, Int

from domains.protein.metrics.folds.fold_distribution import frechet
from domains.protein.metrics.geometry.chain import rg_ratio
from domains.protein.metrics.geometry.secondary_structure import describe as secondary_structure

__all__ = ["class_jsd", "contact_order", "describe", "descriptor_frechet"]

_CONTACT = 0.8  # nm
_APART = 3  # residues along the chain


def describe(points: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, " d"]:
    """Return the descriptors of one chain.

    Shares of helix and strand (P-SEA), size over that of a globule, asphericity (0 a ball, 1 a
    rod), contacts within 0.8 nm per residue, and their mean distance along the chain over its
    length (Plaxco et al. 1998).

    Args:
        points: Cα coordinates, nm, at least four; in one place, a descriptor is NaN.
    """
    content = secondary_structure(points)
    axes = np.linalg.eigvalsh(np.cov(points.T))
    spread = ((axes - axes.mean()) ** 2).sum()
    total = axes.sum()  # 0 where all residues lie in one place
    asphericity = 1.5 * spread / total**2 if total else np.nan
    along = _contacts(points)
    values = (content["helix"], content["strand"], rg_ratio(points), asphericity)
    contacts = len(along) / len(points), _order(along, len(points))
    return np.array([*map(float, values), *contacts])


def contact_order(points: Float[np.ndarray, "n 3"]) -> float:
    """Return the mean distance of contacts along the chain over its length; 0 without contacts.

    Relative contact order (Plaxco et al. 1998), of Cα within 0.8 nm, three or more apart.
    """
    return _order(_contacts(points), len(points))


def _order(along: Int[np.ndarray, " c"], residues: int) -> float:
    return float(along.mean()) / residues if len(along) else 0.0


def _contacts(points: Float[np.ndarray, "n 3"]) -> Int[np.ndarray, " c"]:
    """Return how many residues apart the residues of each contact are."""
    first, second = np.triu_indices(len(points), _APART)
    near = np.linalg.norm(points[first] - points[second], axis=1) < _CONTACT
    return (second - first)[near]


def descriptor_frechet(
    samples: Float[np.ndarray, "n d"], reference: Float[np.ndarray, "m d"]
) -> float:
    """Return the Fréchet distance of descriptors, in units of the reference's spread.

    0 is the same mean and covariance; 1 is, for one, a mean that is off by a standard deviation
    in one descriptor. Biased upwards for few samples.
    """
    mean, scale = reference.mean(0), reference.std(0) + 1e-9
    first, second = ((values - mean) / scale for values in (samples, reference))
    return frechet(first.mean(0), np.cov(first.T), second.mean(0), np.cov(second.T))


def class_jsd(samples: list[str], reference: list[str]) -> float:
    """Return the Jensen–Shannon divergence (nat, 0 to ln 2) of how often classes are met."""
    names = sorted({*samples, *reference})
    first, second = (
        np.array([found.count(name) / len(found) for name in names])
        for found in (samples, reference)
    )
    middle = (first + second) / 2

    def relative(shares: Float[np.ndarray, " c"]) -> float:
        some = shares > 0
        return float((shares[some] * np.log(shares[some] / middle[some])).sum())

    return 0.5 * (relative(first) + relative(second))
