"""Designability: does a sequence designed for a backbone fold back to it?

The published protocol (Trippe et al. 2023, Watson et al. 2023, and Proteina): eight sequences
by Cα-only ProteinMPNN at temperature 0.1, each folded by ESMFold (Lin et al., Science 379
(2023) 1123); the backbone is *designable* if the best fold lies within 2 Å (Cα RMSD, scRMSD)
of it. scTM, the best TM-score, and the pLDDT of the best fold stand beside it.

ESMFold's weights (8 GB) are the user's to bring: a local directory, or a name on the Hugging
Face hub. Without them there is only ``proxy.py``, which is not designability. Any other
``FoldingBackend`` takes ESMFold's place, such as ``openfold3``; what folded is in every row.
"""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float

from domains.errors import FewstepError
from domains.files.provenance import atomic_path, named
from domains.protein.metrics.designability.mpnn import ProteinMPNN
from domains.protein.metrics.designability.mpnn_files import RELEASE
from domains.protein.metrics.similarity.superpose import rmsd, tm_score

__all__ = ["CachedFolding", "Designability", "EsmFold", "Fold", "FoldingBackend", "load_esmfold"]

DESIGNABLE_NM = 0.2  # scRMSD below it counts: 2 Å in every publication compared with
_MOST_RESIDUES = 2048  # folded at a time; memory grows with their number times the length
_KEPT = 64  # folds that are made before they are kept; a crash loses no more
_ALPHA_CARBON = 1  # its place among the atoms of a residue, N CA C O ...


@dataclass(frozen=True)
class Fold:
    """A predicted structure.

    Args:
        points: Cα coordinates, nm.
        plddt: Mean predicted lDDT over the residues, 0-100.
    """

    points: Float[np.ndarray, "n 3"]
    plddt: float


@runtime_checkable
class FoldingBackend(Protocol):
    """Predicts structures from sequences; ESMFold here, another program elsewhere."""

    @property
    def name(self) -> str:
        """Name and weights, as written into every result."""
        ...

    def fold(self, sequences: Sequence[str]) -> list[Fold]:
        """Return one fold per sequence, in order."""
        ...


@dataclass(frozen=True)
class EsmFold:
    """ESMFold through transformers.

    Args:
        name: ``esmfold`` and where the weights came from, with a fingerprint of them.
        model: ``EsmForProteinFolding`` in evaluation mode.
    """

    name: str
    model: Any

    def fold(self, sequences: Sequence[str]) -> list[Fold]:
        """Return one fold per sequence; only equal lengths together, so nothing is padded."""
        folds: dict[int, Fold] = {}
        lengths = [len(sequence) for sequence in sequences]
        for length in sorted(set(lengths)):
            same = [k for k, other in enumerate(lengths) if other == length]
            size = max(1, _MOST_RESIDUES // max(1, length))
            for part in (same[start : start + size] for start in range(0, len(same), size)):
                folds |= zip(part, self._fold([sequences[k] for k in part]), strict=True)
        return [folds[k] for k in range(len(sequences))]

    def _fold(self, sequences: list[str]) -> list[Fold]:
        try:
            with torch.inference_mode():
                result = self.model.infer(sequences)
        except torch.OutOfMemoryError as error:
            raise FewstepError(
                f"no memory left to fold {len(sequences)} times {len(sequences[0])} residues",
                do="Use a smaller chunk size, shorter samples, or a larger accelerator",
            ) from error
        points = result["positions"][-1, :, :, _ALPHA_CARBON].double().cpu().numpy() / 10
        confidence = result["plddt"][:, :, _ALPHA_CARBON].double().mean(1).tolist()
        return [Fold(one, 100 * mean) for one, mean in zip(points, confidence, strict=True)]


def load_esmfold(
    weights: str | Path, device: str = "cpu", chunk_size: int | None = None
) -> EsmFold:
    """Return ESMFold, loaded once.

    Args:
        weights: Local directory in transformers format, or a hub name such as
            ``facebook/esmfold_v1``.
        device: Where it runs; on a CPU count minutes per sequence.
        chunk_size: Rows of the pair attention handled at once, to save memory; all if None.

    Raises:
        FewstepError: transformers isn't installed, or the weights can't be had or read.
    """
    try:
        from transformers import EsmForProteinFolding
    except ImportError as error:
        raise FewstepError(
            "ESMFold needs the package transformers",
            got="no such package",
            do="pip install 'transformers==4.57.1'",
        ) from error
    if Path(weights).is_absolute() and not Path(weights).is_dir():
        raise FewstepError("ESMFold weights", expected="a directory", got=f"nothing at {weights}")
    # Any: the second value of the pair isn't in the library's annotations.
    read: Any = EsmForProteinFolding.from_pretrained
    try:
        model, info = read(str(weights), weights_only=True, output_loading_info=True)
    except (OSError, ValueError, RuntimeError) as error:
        raise FewstepError(
            f"can't load ESMFold from {weights}",
            expected="a local directory in transformers format or a reachable hub name",
            got=str(error).splitlines()[0] if str(error) else type(error).__name__,
            do="Download it on a machine with network and give the directory's path",
        ) from error
    # The published files lack the contact head, which folding doesn't use. Anything else that
    # is missing would be filled with random numbers.
    absent = [key for key in info["missing_keys"] if not key.startswith("esm.contact_head.")]
    if absent or info["mismatched_keys"]:
        raise FewstepError(
            f"{weights} doesn't hold all of ESMFold",
            expected="every weight of EsmForProteinFolding",
            got=f"{len(absent)} missing, {len(info['mismatched_keys'])} of another shape",
            do="Give ESMFold's own weights, not those of the ESM-2 language model",
        )
    model = model.eval().requires_grad_(False).to(device)
    if torch.device(device).type == "cpu":
        model = model.float()  # the language model comes in half precision, for accelerators
    model.trunk.set_chunk_size(chunk_size)
    name = f"esmfold {weights} {fingerprint(model)}, {named('transformers')}"
    return EsmFold(name, model)


def fingerprint(model: torch.nn.Module) -> str:
    """Return 12 hexadecimal digits that other weights would change.

    Names, shapes and the first 256 values of each tensor: hashing all 8 GB takes longer than
    folding.
    """
    digest = hashlib.sha256()
    for name, value in sorted(model.state_dict().items()):
        digest.update(f"{name} {tuple(value.shape)} ".encode())
        digest.update(value.flatten()[:256].double().cpu().numpy().tobytes())
    return digest.hexdigest()[:12]


@dataclass(frozen=True)
class CachedFolding:
    """A folding backend that keeps each fold in a directory.

    Args:
        backend: The structure predictor.
        directory: One small file per backend name and sequence.
    """

    backend: FoldingBackend
    directory: Path

    @property
    def name(self) -> str:
        """Name of the backend: where a fold was kept doesn't change it."""
        return self.backend.name

    def fold(self, sequences: Sequence[str]) -> list[Fold]:
        """Return one fold per sequence, folding only those that aren't there yet."""
        wanted = [one for one in dict.fromkeys(sequences) if not self._path(one).exists()]
        wanted.sort(key=len)
        for part in (wanted[k : k + _KEPT] for k in range(0, len(wanted), _KEPT)):
            for sequence, fold in zip(part, self.backend.fold(part), strict=True):
                self._write(sequence, fold)
        return [self._read(sequence) for sequence in sequences]

    def _path(self, sequence: str) -> Path:
        key = hashlib.sha256(f"{self.name}\n{sequence}".encode()).hexdigest()
        return self.directory / f"{key}.npz"

    def _write(self, sequence: str, fold: Fold) -> None:
        with atomic_path(self._path(sequence)) as temporary, temporary.open("wb") as stream:
            np.savez(stream, points=fold.points, plddt=fold.plddt)

    def _read(self, sequence: str) -> Fold:
        path = self._path(sequence)
        try:
            with np.load(path, allow_pickle=False) as saved:
                return Fold(saved["points"], float(saved["plddt"]))
        except (OSError, ValueError, KeyError, EOFError) as error:
            raise FewstepError(
                f"can't read the kept fold {path}", got=str(error), do="Delete the file"
            ) from error


@dataclass(frozen=True)
class Designability:
    """The protocol with its two networks.

    Args:
        designer: Designs sequences; ``v_48_020`` in the publications.
        folder: Folds them.
        count: Sequences per sample.
        temperature: Of the designs.
    """

    designer: ProteinMPNN
    folder: FoldingBackend
    count: int = 8
    temperature: float = 0.1

    @property
    def backend(self) -> str:
        """Name of everything that decided a number, for every table row."""
        return f"proteinmpnn-ca {RELEASE} {self.designer.name} → {self.folder.name}"

    def describe(self, points: Float[np.ndarray, "n 3"], seed: int = 0) -> dict[str, float | str]:
        """Return the columns of one sample; see ``describe_all``."""
        return self.describe_all([points], seed)[0]

    def describe_all(
        self, samples: Sequence[Float[np.ndarray, "_ 3"]], seed: int = 0
    ) -> list[dict[str, float | str]]:
        """Return the columns of each sample; NaN, and not designable, if it isn't finite.

        All sequences are designed before any is folded, so that the backend sees them at once.

        Args:
            samples: Cα coordinates [n, 3], nm.
            seed: Decides the sequences.

        Returns:
            ``sc_rmsd_nm`` (smallest over the sequences), ``sc_tm`` (largest), ``plddt`` (of
            the fold with the smallest scRMSD), ``designability`` (1 if scRMSD < 0.2 nm),
            ``designability_sequence`` and ``designability_backend``.
        """
        chains = [np.asarray(points, dtype=np.float64) for points in samples]
        designs = {
            k: self.designer.design(chain - chain.mean(0), self.count, self.temperature, seed)
            for k, chain in enumerate(chains)
            if np.isfinite(chain).all()
        }
        folds = iter(self.folder.fold([one for drawn in designs.values() for one in drawn]))
        rows = []
        for k, chain in enumerate(chains):
            row: dict[str, Any] = dict.fromkeys(("sc_rmsd_nm", "sc_tm", "plddt"), math.nan)
            row["designability_sequence"] = ""
            if k in designs:
                row = self._best(chain, designs[k], [next(folds) for _ in designs[k]])
            row["designability"] = float(row["sc_rmsd_nm"] < DESIGNABLE_NM)
            rows.append({**row, "designability_backend": self.backend})
        return rows

    def _best(
        self, points: Float[np.ndarray, "n 3"], sequences: list[str], folds: list[Fold]
    ) -> dict[str, Any]:
        """Return the columns of a sample and of its best fold."""
        for fold in folds:
            if fold.points.shape != points.shape or not np.isfinite(fold.points).all():
                raise FewstepError(
                    f"the folding backend {self.folder.name} gave an unusable structure",
                    expected=f"finite coordinates {list(points.shape)}",
                    got=f"{list(fold.points.shape)}, finite: {np.isfinite(fold.points).all()}",
                )
        distances = [rmsd(fold.points, points) for fold in folds]
        best = int(np.argmin(distances))
        return {
            "sc_rmsd_nm": distances[best],
            "sc_tm": max(tm_score(fold.points, points) for fold in folds),
            "plddt": folds[best].plddt,
            "designability_sequence": sequences[best],
        }
