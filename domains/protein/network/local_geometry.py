"""Local geometry of a noisy chain: what tells a right-handed helix from a left-handed one.

Not among Proteina's features. Distances are the same for a chain and its mirror image, and a
small transformer that gets coordinates residue by residue does not learn their triple products
in hours (``studies/mirror_error.py``); here it is given them.
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F

__all__ = ["DIRECTION_BINS", "LOCAL_SHAPE", "direction_bins", "local_shape"]

_REACH = 4  # residues of one helix turn, to either side
LOCAL_SHAPE = 2 * _REACH * 3 + 3 + 2
"""Width of ``local_shape``."""

_LEVELS = 4
DIRECTION_BINS = _LEVELS**3
"""Number of ``direction_bins``."""

_CA_STEP_NM = 0.38
_TINY = 1e-6


def local_shape(x: Float[Tensor, "b n 3"], mask: Bool[Tensor, "b n"]) -> Float[Tensor, "b n f"]:
    """Compute the chain's local shape at each residue; zero where a neighbour is missing.

    Args:
        x: Cα coordinates in nm.
        mask: Real residues.

    Returns:
        Offsets to the residues i ± 1 … i ± 4 in Cα steps of 0.38 nm, the unit binormal at i,
        and sine and cosine of the dihedral of i − 1 … i + 2.
    """
    offsets = torch.cat([_offset(x, mask, k) for k in range(-_REACH, _REACH + 1) if k], -1)
    binormal = _binormal(x, mask)
    step = _unit(_offset(x, mask, 1))
    following = _shifted(binormal, 1)
    cosine = (binormal * following).sum(-1, keepdim=True)
    sine = (torch.linalg.cross(binormal, following) * step).sum(-1, keepdim=True)
    return torch.cat([offsets / _CA_STEP_NM, binormal, sine, cosine], -1)


def direction_bins(x: Float[Tensor, "b n 3"], mask: Bool[Tensor, "b n"]) -> Int[Tensor, "b n n"]:
    """Return the bin of the direction from residue i to j, seen in the frame of i.

    The frame's axes are the chord from i − 1 to i + 1, the binormal, and their cross product.

    Args:
        x: Cα coordinates in nm.
        mask: Real residues.

    Returns:
        Four levels on each of three axes; ``DIRECTION_BINS`` where i has no frame.
    """
    binormal = _binormal(x, mask)
    chord = _unit(_offset(x, mask, 1) - _offset(x, mask, -1))
    frame = torch.stack([chord, torch.linalg.cross(binormal, chord), binormal], -2)
    toward = _unit(x[:, None] - x[:, :, None])
    seen = torch.einsum("bikc,bijc->bijk", frame, toward)
    level = ((seen + 1) * (_LEVELS / 2)).long().clamp(0, _LEVELS - 1)
    code = (level[..., 0] * _LEVELS + level[..., 1]) * _LEVELS + level[..., 2]
    framed = binormal.abs().sum(-1, keepdim=True) > 0
    return torch.where(framed, code, DIRECTION_BINS)


def _binormal(x: Float[Tensor, "b n 3"], mask: Bool[Tensor, "b n"]) -> Float[Tensor, "b n 3"]:
    return _unit(torch.linalg.cross(-_offset(x, mask, -1), _offset(x, mask, 1)))


def _offset(x: Float[Tensor, "b n 3"], mask: Bool[Tensor, "b n"], k: int) -> Tensor:
    """Return x[i + k] − x[i]; zero where either is missing."""
    both = mask & _shifted(mask[..., None].to(x.dtype), k)[..., 0].bool()
    return (_shifted(x, k) - x) * both[..., None]


def _shifted(values: Float[Tensor, "b n f"], k: int) -> Float[Tensor, "b n f"]:
    """Return values[i + k] at i; zero beyond the ends."""
    n = values.shape[1]
    padded = F.pad(values, (0, 0, max(-k, 0), max(k, 0)))
    return padded[:, max(k, 0) : max(k, 0) + n]


def _unit(vector: Float[Tensor, "... 3"]) -> Float[Tensor, "... 3"]:
    return vector / (vector.norm(dim=-1, keepdim=True) + _TINY)
