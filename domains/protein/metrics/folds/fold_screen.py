"""Screen of many chains for the few that may share a sample's fold, by contact maps."""

from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Float, Int
from scipy.spatial.distance import pdist, squareform

from domains.protein.metrics.geometry.chain import check_chain
from domains.protein.metrics.similarity.tm_align import SHORTEST

__all__ = ["FoldScreen", "contact_map", "overlap"]

# Chosen on CATH domains; the docstring of ``novelty`` says how well they do.
_STRIDE = 3
_CONTACT = 1.0  # nm
_SOFTNESS = 0.02
_BLOCK = 64  # maps compared at once: a block stays in the processor's cache
# Twice the most that single precision can be off in a sum over the largest maps.
_DOUBT = 5e-4


def contact_map(points: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "k k"]:
    """Return soft contacts 1 / (1 + (d / 1 nm)^2) of every third residue of the smoothed chain.

    Smoothing twice by (1, 2, 1)/4 leaves the path of helices and strands.
    """
    chain = check_chain(points, least=SHORTEST)
    for _ in range(2):
        padded = np.pad(chain, ((1, 1), (0, 0)), mode="edge")
        chain = (padded[:-2] + 2 * padded[1:-1] + padded[2:]) / 4
    return 1 / (1 + (squareform(pdist(chain[::_STRIDE])) / _CONTACT) ** 2)


def overlap(query: Float[np.ndarray, "q q"], other: Float[np.ndarray, "r r"]) -> float:
    """Score the ungapped overlap of two contact maps at the best shift, 0 to 1.

    The sum of w / (w + difference^2) over shared entries, by the size of the query's map;
    at least half of the query must be covered.
    """
    best = 0.0
    for here, there in _shifts(len(query), len(other)):
        gap = query[here, here] - other[there, there]
        best = max(best, float((_SOFTNESS / (_SOFTNESS + gap * gap)).sum()))
    return best / len(query) ** 2


class FoldScreen:
    """Contact maps of reference chains, kept so that all are compared with a sample at once.

    Args:
        references: Finite Cα chains, nanometre.

    Raises:
        FewstepError: A chain isn't finite or is below 5 residues.
    """

    def __init__(self, references: Sequence[Float[np.ndarray, "_ 3"]]):
        self._maps = [contact_map(chain) for chain in references]
        self._blocks = [(block, self._stack(block)) for block in self._equal_sizes()]

    def _equal_sizes(self) -> Iterator[Int[np.ndarray, " b"]]:
        sizes = np.array([len(single) for single in self._maps])
        for size in np.unique(sizes):
            same = np.flatnonzero(sizes == size)
            yield from np.split(same, range(_BLOCK, len(same), _BLOCK))

    def _stack(self, block: Int[np.ndarray, " b"]) -> Float[np.ndarray, "r r b"]:
        return _scaled(np.stack([self._maps[i] for i in block], axis=-1))

    def shortlist(self, sample: Float[np.ndarray, "n 3"], count: int) -> Int[np.ndarray, " k"]:
        """Return the references with the highest ``overlap``, best first.

        Single precision sorts out all that can't be among them; the others are compared
        again in double precision, so that the result is that of the plain search.

        Args:
            sample: Cα chain, nanometre.
            count: How many to return.
        """
        query = contact_map(sample)
        rough = self._rough(query)
        least = np.partition(rough, -count)[-count] if count < len(rough) else -1.0
        chosen = np.flatnonzero(rough >= least - _DOUBT)
        scores = np.array([overlap(query, self._maps[i]) for i in chosen])
        return chosen[np.argsort(-scores, kind="stable")[:count]]

    def overlaps(self, sample: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, " m"]:
        """Return the ``overlap`` of a sample with every reference, in single precision."""
        return self._rough(contact_map(sample))

    def _rough(self, query: Float[np.ndarray, "q q"]) -> Float[np.ndarray, " m"]:
        """Return the overlap with every reference, in single precision."""
        repeated = np.repeat(_scaled(query)[..., None], _BLOCK, axis=-1)
        narrow: dict[int, np.ndarray] = {}
        best = np.zeros(len(self._maps), dtype=np.float32)
        for block, stack in self._blocks:
            width = len(block)
            if width not in narrow:
                narrow[width] = np.ascontiguousarray(repeated[..., :width])
            best[block] = _best_sums(narrow[width], stack)
        return best / len(query) ** 2


def _shifts(query: int, other: int) -> Iterator[tuple[slice, slice]]:
    """Yield the entries that two maps share, for every shift that covers half of the query."""
    for shift in range(-(query // 2), other - query + query // 2 + 1):
        start, stop = max(0, -shift), min(query, other - shift)
        if 2 * (stop - start) >= query:
            yield slice(start, stop), slice(start + shift, stop + shift)


def _scaled(maps: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
    """Return maps so that w / (w + difference^2) is 1 / (1 + difference^2)."""
    return np.ascontiguousarray(maps / _SOFTNESS**0.5, dtype=np.float32)


def _best_sums(
    query: Float[np.ndarray, "q q b"], stack: Float[np.ndarray, "r r b"]
) -> Float[np.ndarray, " b"]:
    """Return the largest sum over the shifts, for each map of a stack.

    All in one buffer: what it costs is the traffic to memory.
    """
    best, buffer = np.zeros(stack.shape[-1], dtype=np.float32), np.empty(query.size, np.float32)
    ones = np.ones(len(query) ** 2, dtype=np.float32)
    for here, there in _shifts(len(query), len(stack)):
        part = query[here, here]
        gap = buffer[: part.size].reshape(part.shape)
        np.subtract(part, stack[there, there], out=gap)
        np.multiply(gap, gap, out=gap)
        np.add(gap, 1, out=gap)
        np.reciprocal(gap, out=gap)
        entries = len(part) ** 2
        np.maximum(best, ones[:entries] @ gap.reshape(entries, -1), out=best)
    return best
