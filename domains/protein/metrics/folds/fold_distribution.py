"""FPSD, fS and fJSD: how the folds of a set of samples are distributed.

Geffner et al., "Proteina", ICLR 2025, section 4: the Fréchet protein structure distance compares
the features of a fold classifier, the fold score asks for folds that are sharp and many, the fold
Jensen–Shannon divergence (× 10) compares how often each fold is met. (The program of that paper
writes FPSD as ``FID``; its first release left out the × 10 and wrote fS as ``IS``.)

All three grow or shrink with the number of samples and the mix of their lengths: compare only at
the same of both. None of them sees handedness.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from safetensors.torch import save_file
from torch import Tensor

from domains.errors import FewstepError
from domains.files.model_files import existing_file, named_tensors, read_pair
from domains.files.provenance import atomic_path
from domains.files.safe_archive import load_archive
from domains.protein.metrics.folds.gearnet import LEVELS, Classified

__all__ = [
    "FoldStatistics",
    "fold_jsd",
    "fold_score",
    "fpsd",
    "frechet",
    "read_reference",
    "save_reference",
]

_TINY = 1e-10  # the published logarithms' floor
_JSD_SCALE = 10.0


@dataclass(frozen=True)
class FoldStatistics:
    """Sums over a set of proteins: all that the three metrics need. They can be added.

    Args:
        count: Number of proteins.
        features: Sum of the classifier's features.
        products: Sum of their outer products, not centred.
        probabilities: Per CATH level, sum of the class probabilities.
        certainties: Per CATH level, sum of Σ p log p; a reference file has none.
    """

    count: int
    features: Float[np.ndarray, " d"]
    products: Float[np.ndarray, "d d"]
    probabilities: dict[str, Float[np.ndarray, " _"]]
    certainties: dict[str, float] | None = None

    @classmethod
    def of(
        cls, classified: Classified, rows: Int[np.ndarray, " k"] | slice = slice(None)
    ) -> "FoldStatistics":
        """Sum over classified proteins, or over some rows of them."""
        features = classified.features[rows].double().cpu().numpy()
        logs = {
            level: torch.log_softmax(classified.logits[level][rows].float(), dim=-1)
            for level in LEVELS
        }
        return cls(
            count=len(features),
            features=features.sum(0),
            products=features.T @ features,
            probabilities={k: v.exp().double().sum(0).cpu().numpy() for k, v in logs.items()},
            # In logarithms throughout: confident logits give p = 0, whose logarithm is no number.
            certainties={k: float((v.exp() * v).double().sum()) for k, v in logs.items()},
        )

    def moments(self) -> tuple[Float[np.ndarray, " d"], Float[np.ndarray, "d d"]]:
        """Return mean and covariance of the features.

        Raises:
            FewstepError: Fewer than two proteins.
        """
        if self.count < 2:
            raise FewstepError("a Fréchet distance needs two proteins", got=self.count)
        mean = self.features / self.count
        return mean, (self.products - self.count * np.outer(mean, mean)) / (self.count - 1)


def frechet(
    mean: Float[np.ndarray, " d"],
    covariance: Float[np.ndarray, "d d"],
    other_mean: Float[np.ndarray, " d"],
    other_covariance: Float[np.ndarray, "d d"],
) -> float:
    """Return the squared Fréchet distance of two Gaussians (Dowson and Landau 1982).

    By the eigenvalues of the product of covariances, as published: nothing is added to a
    covariance that is singular, and a negative result of rounding stays one.
    """
    values = np.linalg.eigvals(covariance @ other_covariance).astype(np.complex128)
    shared = float(np.real(np.sqrt(values)).sum())
    away = float(((mean - other_mean) ** 2).sum())
    return away + float(np.trace(covariance) + np.trace(other_covariance) - 2 * shared)


def fpsd(samples: FoldStatistics, reference: FoldStatistics) -> float:
    """Return the Fréchet protein structure distance; biased upwards below some 500 samples."""
    return frechet(*reference.moments(), *samples.moments())


def fold_score(samples: FoldStatistics, level: str) -> float:
    """Return fS of a CATH level: 1 (one fold, or none is clear) to the number of classes."""
    if samples.certainties is None:
        raise FewstepError("a fold score needs samples, and this is a reference file")
    mean = samples.probabilities[level] / samples.count
    certainty = samples.certainties[level] / samples.count
    return float(np.exp(certainty - (mean * np.log(mean + _TINY)).sum()))


def fold_jsd(samples: FoldStatistics, reference: FoldStatistics, level: str) -> float:
    """Return fJSD × 10 of a CATH level: 0 (as often as there) to 6.93 (no fold in common)."""
    first = reference.probabilities[level] / reference.count
    second = samples.probabilities[level] / samples.count
    middle = np.log((first + second) / 2 + _TINY)
    return _JSD_SCALE * 0.5 * (_relative(first, middle) + _relative(second, middle))


def _relative(shares: Float[np.ndarray, " c"], logs: Float[np.ndarray, " c"]) -> float:
    some = shares > 0
    return float((shares[some] * (np.log(shares[some]) - logs[some])).sum())


def read_reference(path: Path) -> FoldStatistics:
    """Read reference statistics as published (``pdb_eval_ca_features.pth`` and its like).

    Raises:
        FewstepError: The file is missing, damaged, dangerous, lacks a sum, or its sums
            contradict each other.
    """
    path = existing_file(Path(path))
    if path.suffix == ".safetensors":
        tensors = read_pair(path, path.with_suffix(".json"), required=False)[0]
    else:
        state = load_archive(path)
        if not isinstance(state, dict):
            raise FewstepError(f"{path} is no state dict", got=type(state).__name__)
        tensors = dict(named_tensors(path, state))
    count = int(_tensor(path, tensors, "FID_real_features_num_samples", 0))
    features = _tensor(path, tensors, "FID_real_features_sum", 1)
    products = _tensor(path, tensors, "FID_real_features_cov_sum", 2)
    shares = {k: _tensor(path, tensors, f"fJSD_{k}_real_features_sum", 1) for k in LEVELS}
    counts = [int(_tensor(path, tensors, f"fJSD_{k}_real_features_num_samples", 0)) for k in LEVELS]
    faults: Sequence[tuple[bool, str]] = (
        (count < 2, "fewer than two proteins"),
        (counts != [count] * len(LEVELS), "counts that differ"),
        (products.shape != (len(features), len(features)), "products of another width"),
        (not _symmetric(products), "asymmetric products"),
        (
            any(abs(p.sum() / count - 1) > 1e-3 for p in shares.values()),
            "probabilities that do not add up to 1",
        ),
    )
    for wrong, what in faults:
        if wrong:
            raise FewstepError(f"reference statistics in {path} have {what}")
    return FoldStatistics(count, features, products, shares)


def save_reference(statistics: FoldStatistics, path: Path) -> None:
    """Write statistics as a reference file (safetensors) of the published names."""
    count = torch.tensor(statistics.count)
    content = {
        "FID_real_features_sum": torch.from_numpy(statistics.features),
        "FID_real_features_cov_sum": torch.from_numpy(statistics.products),
        "FID_real_features_num_samples": count,
    }
    for level, shares in statistics.probabilities.items():
        content[f"fJSD_{level}_real_features_sum"] = torch.from_numpy(shares)
        content[f"fJSD_{level}_real_features_num_samples"] = count.clone()
    with atomic_path(path) as temporary:
        save_file(content, temporary)


def _tensor(
    path: Path, tensors: Mapping[str, Tensor], name: str, dimensions: int
) -> Float[np.ndarray, "..."]:
    if name not in tensors:
        raise FewstepError(f"no {name} in {path}", do="Use a reference file of Proteina")
    value = tensors[name].detach().double().numpy()
    if value.ndim != dimensions or not np.isfinite(value).all():
        raise FewstepError(
            f"bad {name} in {path}",
            expected=f"finite numbers in {dimensions} dimensions",
            got=list(value.shape),
        )
    return value


def _symmetric(matrix: Float[np.ndarray, "a b"]) -> bool:
    return matrix.shape == matrix.T.shape and np.allclose(matrix, matrix.T, rtol=1e-6)
