"""The folding backend that a run's settings ask for, loaded once and with its folds kept."""

from pathlib import Path

import torch

from domains.errors import FewstepError
from domains.protein.metrics.designability.openfold3 import find_openfold3
from domains.protein.metrics.designability.self_consistency import CachedFolding, load_esmfold
from domains.protein.settings import ProteinEvaluate

__all__ = ["load_folding"]

# Where the workflow keeps what it has fetched, too; sets of all runs share the folds.
_KEPT = Path("data/folds")


def load_folding(config: ProteinEvaluate) -> CachedFolding:
    """Load the structure predictor; ESMFold runs on the accelerator where there is one.

    Raises:
        FewstepError: Its program or weights are missing.
    """
    weights = config.folding_model
    if weights is None:
        raise FewstepError("there is no folding model", do="Give evaluate.folding_model")
    if config.folding_program == "openfold3":
        return CachedFolding(find_openfold3(Path(weights)), _KEPT)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return CachedFolding(load_esmfold(weights, device), _KEPT)
