"""Low-rank adapters folded into the weights they adapt (LoRA, arXiv 2106.09685)."""

import math

from torch import Tensor

from domains.errors import FewstepError

__all__ = ["has_lora", "merge_lora"]

_A, _B = ".lora_A", ".lora_B"


def has_lora(weights: dict[str, Tensor]) -> bool:
    """Tell whether any adapter is among the weights."""
    return any(name.endswith((_A, _B)) for name in weights)


def merge_lora(weights: dict[str, Tensor], alpha: float | None) -> dict[str, Tensor]:
    """Return the weights with every adapter added to its base weight and dropped.

    A linear layer becomes W + (alpha / r) B A, an embedding table E + (alpha / r) (B A)^T
    (arXiv 2106.09685, eq. 3; the rank r is the number of rows of A).

    Args:
        weights: Tensors by name; ``<path>.lora_A`` is [r, in], ``<path>.lora_B`` [out, r].
        alpha: Strength of the adapters. Files do not always carry it, and a wrong value
            changes every sample, so there is no default.

    Returns:
        New mapping in the same order; the given one and its tensors stay as they are.

    Raises:
        FewstepError: ``alpha`` is not known, or an adapter has no partner, base or fitting shape.
    """
    if not has_lora(weights):
        return dict(weights)
    _check_alpha(alpha)
    assert alpha is not None
    merged = {name: value for name, value in weights.items() if not name.endswith((_A, _B))}
    for path in sorted({name.rpartition(".")[0] for name in weights if name.endswith((_A, _B))}):
        base, down, up = (_find(weights, path, end) for end in (".weight", _A, _B))
        merged[f"{path}.weight"] = _merge(path, base, down, up, alpha)
    return merged


def _check_alpha(alpha: float | None) -> None:
    if alpha is None:
        raise FewstepError(
            "the checkpoint has LoRA adapters but does not say their alpha",
            do="Give lora_alpha (32 in the released Proteina LoRA inference config)",
        )
    if not math.isfinite(alpha):
        raise FewstepError("lora_alpha is not usable", expected="a finite number", got=alpha)


def _find(weights: dict[str, Tensor], path: str, end: str) -> Tensor:
    if (tensor := weights.get(path + end)) is None or tensor.ndim != 2:
        got = "nothing" if tensor is None else f"{tensor.ndim} dimensions"
        raise FewstepError(
            f"incomplete LoRA adapter {path}", expected=f"a matrix {path}{end}", got=got
        )
    return tensor


def _merge(path: str, base: Tensor, down: Tensor, up: Tensor, alpha: float) -> Tensor:
    rank = down.shape[0]
    linear = (up.shape[0], down.shape[1])
    if rank == 0 or up.shape[1] != rank or tuple(base.shape) not in (linear, linear[::-1]):
        shapes = ", ".join(str(tuple(t.shape)) for t in (base, down, up))
        raise FewstepError(
            f"LoRA shapes of {path} do not fit",
            expected="weight, lora_A, lora_B with one rank and the shape of the weight",
            got=shapes,
        )
    # Summed in double so that the order of merging and casting cannot matter.
    update = (alpha / rank) * (up.double() @ down.double())
    table = tuple(base.shape) == linear[::-1]
    if linear[0] == linear[1]:  # A square one fits both ways: only the name can tell.
        table = path.rpartition(".")[2].startswith("embedding")
    return (base.double() + (update.T if table else update)).to(base.dtype)
