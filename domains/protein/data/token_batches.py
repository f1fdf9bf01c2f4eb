"""Training batches of the packed domains, each a function of its key alone."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, Int

from domains.errors import FewstepError
from domains.protein.data.dataset import CathDomains

if TYPE_CHECKING:
    from domains.batch import Batch

__all__ = ["TokenBatches", "rotated"]

_ORDER, _ROTATION = 0, 1  # separate random streams under one seed


class TokenBatches:
    """Endless training batches of similar lengths; batch ``index`` depends on its key alone.

    Domains are sorted by length and cut into batches of at most ``residues`` places, padding
    included. Where the cuts lie depends on the sorted lengths only; each epoch shuffles the
    domains of equal length before the cut, and the batches after it. So every domain comes
    exactly once per epoch, and any batch can be made without those before it.

    Args:
        domains: What to draw from.
        residues: Most places of a batch, padding included.
        seed: Key of order and rotations.

    Raises:
        FewstepError: A domain alone is longer than ``residues``, or the seed is negative.
    """

    def __init__(self, domains: CathDomains, residues: int, seed: int = 0):
        """Cut the sorted lengths into batches once; everything else is drawn by key."""
        longest = int(domains.lengths.max())
        if residues < longest:
            raise FewstepError(
                "the batch is too small for the longest domain",
                expected=f"at least {longest} residues",
                got=residues,
                do="Raise the residues of a batch or lower the maximum length",
            )
        _generator(seed)  # a bad seed is an error here, not at the first batch
        self.domains, self.seed = domains, seed
        self._cuts = _cuts(np.sort(domains.lengths), residues)
        # Only speed: an epoch is the same whether it is remembered or shuffled again.
        self._epoch = lru_cache(maxsize=2)(self._shuffle)

    @property
    def per_epoch(self) -> int:
        """Batches in one epoch, the same for every epoch."""
        return len(self._cuts) - 1

    def members(self, index: int) -> Int[np.ndarray, " b"]:
        """Return the indices of the domains in batch ``index``.

        Raises:
            FewstepError: The index is negative.
        """
        epoch, place = divmod(index, self.per_epoch)
        order, turns = self._epoch(epoch)
        place = turns[place]
        return order[self._cuts[place] : self._cuts[place + 1]]

    def _shuffle(self, epoch: int) -> tuple[Int[np.ndarray, " d"], Int[np.ndarray, " k"]]:
        """Return the domains by length, ties shuffled, and the order of the batches."""
        stream = _generator(self.seed, _ORDER, epoch)
        mixed = stream.permutation(len(self.domains))
        order = mixed[np.argsort(self.domains.lengths[mixed], kind="stable")]
        return order, stream.permutation(self.per_epoch)

    def batch(self, index: int) -> Batch:
        """Return batch ``index`` (see ``rotated``).

        Args:
            index: Global number of the batch, from 0; several ranks each take their own.

        Raises:
            FewstepError: The index is negative.
        """
        stream = _generator(self.seed, _ROTATION, index)
        return rotated(self.domains, self.members(index), stream)


def rotated(
    domains: CathDomains, members: Int[np.ndarray, " b"], stream: np.random.Generator
) -> Batch:
    """Return these domains, centred, each randomly rotated, padded with zeros.

    Args:
        domains: All domains to choose from.
        members: Which of them.
        stream: Draws the rotations.

    Returns:
        ``points`` float32 [b, n, 3] in nm, ``mask`` [b, n], and ``cath_code``, a list of
        one code per sample, in ``condition``.
    """
    import torch  # here, not above: reading the domains needs no torch

    from domains.batch import Batch

    lengths = domains.lengths[members]
    places = np.arange(int(lengths.max()))
    mask = places < lengths[:, None]
    rows = np.where(mask, domains.offsets[members][:, None] + places, 0)
    turned = domains.coordinates[rows] @ _rotations(stream, len(members))
    points = np.where(mask[..., None], turned, 0)
    return Batch(
        mask=torch.from_numpy(mask),
        points=torch.from_numpy(points.astype(np.float32)),
        condition={"cath_code": [[domains.cath[i]] for i in members]},
    )


def _generator(*key: int) -> np.random.Generator:
    """Return the random stream of a key: the same numbers on every machine and resume."""
    if min(key) < 0:
        raise FewstepError("a random key is negative", expected="numbers from 0 on", got=key)
    return np.random.default_rng(key)


def _cuts(ascending: Int[np.ndarray, " d"], residues: int) -> Int[np.ndarray, " k"]:
    """Return the bounds of greedy batches of at most ``residues`` places, padding included."""
    bounds = [0]
    for end, length in enumerate(ascending.tolist()):
        if (end + 1 - bounds[-1]) * length > residues:
            bounds.append(end)
    return np.array([*bounds, len(ascending)])


def _rotations(stream: np.random.Generator, count: int) -> Float[np.ndarray, "b 3 3"]:
    """Return uniform rotations, from unit quaternions (Shoemake, Graphics Gems III, 1992)."""
    quaternions = stream.standard_normal((count, 4))
    quaternions /= np.linalg.norm(quaternions, axis=1, keepdims=True)
    w, x, y, z = quaternions.T
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    return np.moveaxis(np.array(rows), -1, 0).astype(np.float32)
