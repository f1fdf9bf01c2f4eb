"""The packed set of CATH domains."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Int, Int8, UInt8

from domains.errors import FewstepError
from domains.files.provenance import atomic_path

__all__ = [
    "PACKED",
    "SPLITS",
    "CathDomains",
    "load_domains",
    "save_domains",
]

PACKED = Path(__file__).parents[1] / "assets" / "cath_domains.npz"
SPLITS = ("train", "val", "test")
_MOST_BYTES = 1 << 30  # all of CATH, half a million domains, takes half of it
_NM = 0.001  # nm in one packed unit, 0.01 angstrom
_KEYS = {"steps_low", "steps_high", "lengths", "ids", "cath", "split", "sequences"}


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
        if split is not None and SPLITS.index(split) not in self.split:
            raise FewstepError(
                f"the packed domains have no split {split}",
                do="Pack them with one: training is on train, held-out natives are of test",
            )
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
    """Write domains, as ``promod3.build_domains`` returns them, to a packed set, atomically.

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


def load_domains(path: Path | str | None = None) -> CathDomains:
    """Load a packed set of domains.

    Args:
        path: A file that ``save_domains`` wrote; the set that comes with the program when None.

    Raises:
        FewstepError: The file is missing, damaged, or holds something else.
    """
    path = Path(path or PACKED)
    arrays = _read_arrays(path)
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


def _read_arrays(path: Path) -> dict[str, np.ndarray]:
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(entry.file_size for entry in archive.infolist())
        if size > _MOST_BYTES:
            raise ValueError(f"it unpacks to {size} bytes")
        with np.load(path, allow_pickle=False) as archive:
            return {key: archive[key] for key in archive.files}
    except Exception as error:  # A damaged file can raise anything inside zipfile and numpy.
        raise FewstepError(
            f"can't read the domains in {path}",
            got=str(error)[:200] or type(error).__name__,
            do="Restore the file; data_manifest.yaml says where it comes from",
        ) from error


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
    fit = fit and all(arrays[k].tobytes().isascii() for k in ("ids", "cath", "sequences"))
    if not (fit and split.min() >= 0 and split.max() < len(SPLITS)):
        raise FewstepError(
            f"the arrays in {path} don't fit together",
            do="Restore the file; data_manifest.yaml says where it comes from",
        )


def _locked(array: np.ndarray) -> np.ndarray:
    """Return the array, made read-only."""
    array.flags.writeable = False
    return array
