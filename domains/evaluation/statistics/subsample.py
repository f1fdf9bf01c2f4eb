"""A random part of a set, the same one in every set that has these samples."""

from collections.abc import Sequence
from hashlib import blake2b

import numpy as np
from jaxtyping import Bool

__all__ = ["drawn"]


def drawn(names: Sequence[str], most: int | None, seed: int) -> Bool[np.ndarray, " n"]:
    """Return which samples are drawn: those whose names have the smallest keyed hashes.

    A name's hash depends on nothing else. So sets of one run draw the same samples, which keeps
    them paired; one that lacks a sample draws one other; and a larger draw holds a smaller one.

    Args:
        names: Of the samples.
        most: How many are drawn; None, or as many as there are: all.
        seed: Key of the hash.
    """
    if most is None or most >= len(names):
        return np.ones(len(names), dtype=bool)
    hashes = [blake2b(f"{seed} {name}".encode(), digest_size=8).digest() for name in names]
    ranks = np.array([int.from_bytes(one) for one in hashes], dtype=np.uint64)
    chosen = np.zeros(len(names), dtype=bool)
    chosen[np.argsort(ranks, kind="stable")[:most]] = True
    return chosen
