"""Plain statistics of how a Cα chain is packed, without a network.

They ask what cross NLL asks of a network: do strands lie beside each other, are contacts as far
along the chain as in a fold, is no place too tight. Most depend on composition: compare them
after ``regression``, never as they are.
"""

import math

import numpy as np
from jaxtyping import Bool, Float

from domains.protein.metrics.geometry.chain import check_chain, is_whole
from domains.protein.metrics.geometry.secondary_structure import assign
from domains.protein.metrics.similarity.descriptors import contact_order

__all__ = ["TERTIARY", "describe", "paired_strands"]

TERTIARY = ("paired_strands", "contact_order", "burial_lag", "close_contacts", "closest")
# Cα of paired strand residues are .45 to .55 nm apart (Pauling and Corey 1951); twist adds some.
_PAIRED = 0.60  # nm
_NEIGHBOUR, _NEIGHBOUR_APART = 1.0, 4  # nm, residues along the chain
_CLOSE, _CLOSE_APART = 0.40, 5  # nm, residues along the chain
_CLOSEST_SEEN = 0.60  # nm; a chain whose parts are no nearer is no tighter
_SHORTEST = 8  # residues, so that every statistic has pairs


def describe(points: Float[np.ndarray, "n 3"], letters: str | None = None) -> dict[str, float]:
    """Return the statistics of one chain; NaN for what it hasn't or what isn't finite.

    Args:
        points: Cα coordinates, nm.
        letters: Its secondary structure (``assign``), if known.

    Returns:
        ``paired_strands``: share of strand residues that have a partner (NaN without strand).
        ``contact_order``: relative contact order (Plaxco et al. 1998).
        ``burial_lag``: correlation of the numbers of neighbours (within 1 nm, four or more
        apart) of successive residues; high where one side of the chain is left bare.
        ``close_contacts``: pairs five or more apart closer than .40 nm, per residue.
        ``closest``: the smallest distance (nm) of residues four or more apart, at most .60.
    """
    if len(points) < _SHORTEST or not is_whole(points):
        return dict.fromkeys(TERTIARY, math.nan)
    chain = check_chain(points)
    apart = np.linalg.norm(chain[:, None] - chain[None], axis=-1)
    along = np.abs(np.subtract.outer(np.arange(len(chain)), np.arange(len(chain))))
    far = along >= _NEIGHBOUR_APART
    close = (apart < _CLOSE) & (along >= _CLOSE_APART)
    return {
        "paired_strands": paired_strands(chain, letters or assign(chain)),
        "contact_order": contact_order(chain),
        "burial_lag": _lagged(((apart < _NEIGHBOUR) & far).sum(1).astype(float)),
        "close_contacts": float(close.sum()) / 2 / len(chain),
        "closest": min(float(apart[far].min()), _CLOSEST_SEEN),
    }


def paired_strands(points: Float[np.ndarray, "n 3"], letters: str) -> float:
    """Return the share of strand residues that have a partner; NaN without strand residues.

    Partners are strand residues three or more apart, closer than .60 nm, with neighbours that
    are as close: i and j with i + 1 and j + 1 (parallel) or j − 1 (antiparallel).

    Args:
        points: Cα coordinates, nm.
        letters: Secondary structure as ``assign`` gives it.
    """
    strand = np.array([letter == "b" for letter in letters])
    if not strand.any():
        return math.nan
    apart = np.linalg.norm(points[:, None] - points[None], axis=-1)
    along = np.abs(np.subtract.outer(np.arange(len(points)), np.arange(len(points))))
    near = (apart < _PAIRED) & (along >= 3) & strand[:, None] & strand[None]
    paired = _in_ladder(near) | _in_ladder(near[:, ::-1])
    return float(paired[strand].mean())


def _in_ladder(near: Bool[np.ndarray, "n n"]) -> Bool[np.ndarray, " n"]:
    """Return which rows have an element with a neighbour on the diagonal above or below."""
    both = near[:-1, :-1] & near[1:, 1:]
    found = np.zeros(len(near), dtype=bool)
    found[:-1] |= both.any(1)
    found[1:] |= both.any(1)
    return found


def _lagged(values: Float[np.ndarray, " n"]) -> float:
    """Return the correlation of a sequence with itself one place on; NaN if it is constant."""
    away = values - values.mean()
    square = float((away**2).mean())
    return float((away[:-1] * away[1:]).mean()) / square if square > 0 else math.nan
