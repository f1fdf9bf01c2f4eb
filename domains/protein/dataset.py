"""The packed set of CATH domains, and training batches drawn from it."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Float, Int, Int8, UInt8

from domains.errors import FewstepError
from domains.provenance import atomic_path

if TYPE_CHECKING:
    from domains.domain import Batch

__all__ = [
    "PACKED",
    "SPLITS",
    "CathDomains",
    "TokenBatches",
    "load_domains",
    "sample_lengths",
    "save_domains",
]

PACKED = Path(__file__).parent / "assets" / "cath_domains.npz"
SPLITS = ("train", "val", "test")
_NM = 0.001  # nm in one packed unit, 0.01 angstrom
_KEYS = {"steps_low", "steps_high", "lengths", "ids", "cath", "split", "sequences"}
_ORDER, _ROTATION, _LENGTHS = 0, 1, 2  # separate random streams under one seed


@dataclass(frozen=True, eq=False)
class CathDomains:
    """CATH domains, r residues in d domains, one after another in flat arrays.

    Args:
        coordinates: CA positions, nm, each domain centred at the origin.
        lengths: Residues of each domain.
        ids: CATH domain ids, e.g. ``1oaiA00``.
        cath: C.A.T.H code of each domain, e.g. ``1.10.8.10``.
        split: Index into ``SPLITS``; a superfamily is in one split only.
        sequences: One-letter sequence of each domain.
    """

    coordinates: Float[np.ndarray, "r 3"]
    lengths: Int[np.ndarray, " d"]
    ids: tuple[str, ...]
    cath: tuple[str, ...]
    split: Int[np.ndarray, " d"]
    sequences: tuple[str, ...]

    def __len__(self) -> int:
        """Return the number of domains."""
        return len(self.ids)

    @property
    def offsets(self) -> Int[np.ndarray, " d"]:
        """First residue of each domain."""
        return np.cumsum(self.lengths) - self.lengths

    def points(self, index: int | np.integer) -> Float[np.ndarray, "n 3"]:
        """Return the CA positions of one domain, float32, nm, centred."""
        begin = int(self.lengths[:index].sum())
        return self.coordinates[begin : begin + int(self.lengths[index])]

    def subset(
        self, split: str | None = None, minimum: int = 1, maximum: int | None = None
    ) -> CathDomains:
        """Return the domains of one split and a range of lengths.

        Args:
            split: ``train``, ``val`` or ``test``; all of them when None.
            minimum: Fewest residues.
            maximum: Most residues, inclusive; no limit when None.

        Raises:
            FewstepError: No such split, or no domain is left.
        """
        if split is not None and split not in SPLITS:
            raise FewstepError("no such split", expected=" or ".join(SPLITS), got=repr(split))
        keep = self.lengths >= minimum
        if maximum is not None:
            keep &= self.lengths <= maximum
        if split is not None:
            keep &= self.split == SPLITS.index(split)
        if not keep.any():
            raise FewstepError(
                f"no domain of split {split or 'any'} has {minimum} to {maximum or 'any'} residues",
                do=f"Choose lengths within {self.lengths.min()} to {self.lengths.max()}",
            )
        return self._take(keep)

    def _take(self, keep: Bool[np.ndarray, " d"]) -> CathDomains:
        chosen = np.flatnonzero(keep)
        return CathDomains(
            coordinates=_locked(self.coordinates[np.repeat(keep, self.lengths)]),
            lengths=_locked(self.lengths[keep]),
            ids=tuple(self.ids[i] for i in chosen),
            cath=tuple(self.cath[i] for i in chosen),
            split=_locked(self.split[keep]),
            sequences=tuple(self.sequences[i] for i in chosen),
        )


def save_domains(path: Path, built: Mapping[str, np.ndarray]) -> None:
    """Write what ``promod3.build_domains`` returns as a packed set, atomically.

    Positions become steps along the chain, whose high and low bytes are kept apart, one plane
    per axis: a step is at most 4.2 angstrom, so the high bytes compress to almost nothing.

    Args:
        path: The ``.npz`` file to write.
        built: ``positions`` (0.01 angstrom), ``lengths``, ``ids``, ``cath``, ``split`` and
            ``sequences``.

    Raises:
        FewstepError: A step along a chain doesn't fit, or the file can't be written.
    """
    lengths = np.asarray(built["lengths"], dtype=np.int64)
    steps = np.diff(built["positions"], axis=0, prepend=built["positions"][:1]).T
    steps[:, np.cumsum(lengths) - lengths] = 0  # a domain's own origin is free
    if np.abs(steps).max() >= 2**15:
        raise FewstepError("a step along a chain is too long to pack", got=np.abs(steps).max())
    packed = {
        "steps_low": (steps & 255).astype(np.uint8),
        "steps_high": (steps >> 8).astype(np.int8),
        "lengths": lengths.astype(np.int32),
        "ids": np.asarray(built["ids"]).astype("S"),
        "cath": np.asarray(built["cath"]).astype("S"),
        "split": np.asarray(built["split"], dtype=np.int8),
        "sequences": np.frombuffer(str(built["sequences"]).encode("ascii"), dtype=np.uint8),
    }
    with atomic_path(path) as temporary, temporary.open("wb") as stream:
        np.savez_compressed(stream, **packed)


def load_domains(path: Path | None = None) -> CathDomains:
    """Load a packed set of domains.

    Args:
        path: A file that ``save_domains`` wrote; the set that comes with the program when None.

    Raises:
        FewstepError: The file is missing, damaged, or holds something else.
    """
    path = PACKED if path is None else Path(path)
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {key: archive[key] for key in archive.files}
    except (OSError, ValueError, EOFError, AttributeError, zipfile.BadZipFile, zlib.error) as error:
        raise FewstepError(
            f"can't read the domains in {path}",
            got=str(error) or type(error).__name__,
            do="Restore the file; data_manifest.yaml says where it comes from",
        ) from error
    _check(arrays, path)
    lengths = arrays["lengths"].astype(np.int64)
    ends = np.cumsum(lengths)
    letters = arrays["sequences"].tobytes().decode("ascii")
    return CathDomains(
        coordinates=_locked(_positions(arrays["steps_low"], arrays["steps_high"], lengths)),
        lengths=_locked(lengths),
        ids=tuple(arrays["ids"].astype(str).tolist()),
        cath=tuple(arrays["cath"].astype(str).tolist()),
        split=_locked(arrays["split"].astype(np.int64)),
        sequences=tuple(
            letters[end - n : end] for end, n in zip(ends.tolist(), lengths.tolist(), strict=True)
        ),
    )


def _positions(
    low: UInt8[np.ndarray, "3 r"], high: Int8[np.ndarray, "3 r"], lengths: Int[np.ndarray, " d"]
) -> Float[np.ndarray, "r 3"]:
    """Return centred positions in nm from the two bytes of each step."""
    walk = np.cumsum((high.astype(np.int64) << 8) + low, axis=1).T
    starts = np.cumsum(lengths) - lengths
    centres = np.add.reduceat(walk, starts, axis=0) / lengths[:, None]
    return ((walk - np.repeat(centres, lengths, axis=0)) * _NM).astype(np.float32)


def _check(arrays: Mapping[str, np.ndarray], path: Path) -> None:
    """Raise unless the arrays are a packed set that fits together."""
    if set(arrays) != _KEYS:
        raise FewstepError(
            f"{path} isn't a packed set of domains",
            expected=f"arrays {', '.join(sorted(_KEYS))}",
            got=", ".join(sorted(arrays)) or "none",
        )
    lengths, split = arrays["lengths"], arrays["split"]
    kinds = dict(steps_low="u1", steps_high="i1", lengths="i4", split="i1", sequences="u1")
    fit = all(arrays[key].dtype == kind for key, kind in kinds.items())
    fit = fit and all(arrays[key].dtype.kind == "S" for key in ("ids", "cath"))
    fit = fit and lengths.ndim == 1 and len(lengths) > 0 and int(lengths.min()) > 0
    fit = fit and all(arrays[key].shape == lengths.shape for key in ("ids", "cath", "split"))
    residues = int(lengths.sum()) if fit else 0
    fit = fit and all(arrays[k].shape == (3, residues) for k in ("steps_low", "steps_high"))
    fit = fit and arrays["sequences"].shape == (residues,)
    fit = fit and len(np.unique(arrays["ids"])) == len(lengths)
    if not (fit and split.min() >= 0 and split.max() < len(SPLITS)):
        raise FewstepError(
            f"the arrays in {path} don't fit together",
            do="Restore the file; data_manifest.yaml says where it comes from",
        )


def _locked(array: np.ndarray) -> np.ndarray:
    """Return the array, made read-only."""
    array.flags.writeable = False
    return array


def _generator(*key: int) -> np.random.Generator:
    """Return the random stream of a key: the same numbers on every machine and resume."""
    if min(key) < 0:
        raise FewstepError("a random key is negative", expected="numbers from 0 on", got=key)
    return np.random.default_rng(key)


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
        self._offsets = domains.offsets
        self._cuts = _cuts(np.sort(domains.lengths), residues)
        # Only speed: an epoch is the same whether it is remembered or shuffled again.
        self._epoch = lru_cache(maxsize=2)(self._shuffle)

    @property
    def per_epoch(self) -> int:
        """Batches in one epoch, the same for every epoch."""
        return len(self._cuts) - 1

    def members(self, index: int) -> Int[np.ndarray, " b"]:
        """Return which domains batch ``index`` holds.

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
        """Return batch ``index``: centred, randomly rotated, padded with zeros.

        Args:
            index: Global number of the batch, from 0; several ranks each take their own.

        Returns:
            ``points`` float32 [b, n, 3] in nm, ``mask`` [b, n], and ``cath_code``, a list of
            one code per sample, in ``condition``.

        Raises:
            FewstepError: The index is negative.
        """
        import torch  # here, not above: reading the domains needs no torch

        from domains.domain import Batch

        members = self.members(index)
        lengths = self.domains.lengths[members]
        places = np.arange(int(lengths.max()))
        mask = places < lengths[:, None]
        rows = np.where(mask, self._offsets[members][:, None] + places, 0)
        rotations = _rotations(_generator(self.seed, _ROTATION, index), len(members))
        points = np.where(mask[..., None], self.domains.coordinates[rows] @ rotations, 0)
        return Batch(
            mask=torch.from_numpy(mask),
            points=torch.from_numpy(points.astype(np.float32)),
            condition={"cath_code": [[self.domains.cath[i]] for i in members]},
        )


def sample_lengths(
    seed: int, index: int, n: int, lengths: Sequence[int] | Int[np.ndarray, " d"]
) -> Int[np.ndarray, " n"]:
    """Draw ``n`` lengths with replacement, keyed by (seed, index).

    Args:
        seed: Key of the run, from 0.
        index: Number of the batch, from 0.
        n: How many to draw.
        lengths: What to draw from; a length listed twice comes twice as often.

    Raises:
        FewstepError: There is no length to draw from, or the key is negative.
    """
    if len(lengths) == 0:
        raise FewstepError("there are no lengths to draw from", do="Give at least one length")
    return _generator(seed, _LENGTHS, index).choice(np.asarray(lengths), size=n)


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
