"""Weights and settings of a Proteina checkpoint, read without running its pickled code."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from domains.errors import FewstepError
from domains.files.model_files import check_weights, existing_file, named_tensors, read_pair
from domains.files.safe_archive import UNSAFE, Inert, load_archive
from domains.protein.checkpoint.hyper_parameters import read_settings
from domains.protein.checkpoint.lora import has_lora, merge_lora

__all__ = ["Checkpoint", "read_checkpoint"]

_PREFIXES = ("module.", "model.", "nn.")
_COUNTER = "num_batches_tracked"  # of batch norms beside the network
_MOST_ALPHA = 1e6  # far beyond any in use


@dataclass(frozen=True)
class Checkpoint:
    """Weights and settings of a network, as read from a file.

    Args:
        weights: Network tensors by name, LoRA merged.
        network: The network's configuration (``cfg_exp.model.nn``), interpolations unresolved;
            None where the file carries none.
        target: What the network predicts ("v" or "x_1"), or None.
        motif: Whether it was trained with motif conditioning.
        source_format: "lightning", "lightning-ema", "state-dict" or "safetensors"; "+lora"
            is added where adapters were merged.
    """

    weights: dict[str, Tensor]
    network: dict[str, Any] | None
    target: str | None
    motif: bool
    source_format: str


def read_checkpoint(path: Path, *, lora_alpha: float | None = None) -> Checkpoint:
    """Read a Lightning checkpoint, a bare state dict or canonical weights.

    Args:
        path: .ckpt, .pt, .pth (zip form of torch.save) or .safetensors with its .json.
        lora_alpha: Strength of LoRA adapters, where the file has some and does not say.

    Raises:
        FewstepError: The file is missing, damaged, dangerous, of another kind, or its
            weights are not finite floating-point numbers.
    """
    path = existing_file(Path(path))
    if path.suffix == ".safetensors":
        state, settings = read_pair(path, path.with_suffix(".json"), required=False)
        weights = _network_weights(path, state)
        settings, source = _canonical_settings(path, settings), "safetensors"
    else:
        state, settings, source = _split(path, load_archive(path))
        # Copied out of the mapped file.
        weights = {k: v.detach().clone() for k, v in _network_weights(path, state).items()}
    alpha = _agreed_alpha(path, settings.pop("lora_alpha"), lora_alpha)
    if has_lora(weights):
        weights, source = merge_lora(weights, alpha), f"{source}+lora"
        check_weights(path, weights)
    return Checkpoint(weights=weights, source_format=source, **settings)


def _canonical_settings(path: Path, config: dict[str, Any]) -> dict[str, Any]:
    settings = {key: config.get(key) for key in ("network", "target", "lora_alpha")}
    settings["motif"] = config.get("motif", False)
    wanted = {"network": dict | None, "target": str | None, "motif": bool}
    for key, kind in wanted.items():
        if not isinstance(settings[key], kind):
            raise FewstepError(f"bad {key} beside {path}", got=repr(settings[key])[:80])
    return settings


def _split(path: Path, content: Any) -> tuple[Any, dict[str, Any], str]:
    """Return the state dict, the settings and the kind of a loaded file."""
    empty = {"network": None, "target": None, "motif": False, "lora_alpha": None}
    if not isinstance(content, dict):
        raise _unsupported(path, content)
    if not isinstance(content.get("state_dict"), dict):
        for value in content.values():
            if isinstance(value, Inert):
                raise _unsupported(path, value)
        return content, empty, "state-dict"
    states = content.get("optimizer_states")
    first = states[0] if isinstance(states, list) and states else None
    kind = "lightning-ema" if isinstance(first, dict) and "ema" in first else "lightning"
    try:
        settings = empty | read_settings(content.get("hyper_parameters"))
    except RecursionError as error:
        raise FewstepError(f"the configuration in {path} contains itself") from error
    except FewstepError as error:
        raise FewstepError(f"the configuration in {path} can't be used: {error}") from error
    return content["state_dict"], settings, kind


def _unsupported(path: Path, value: Any) -> FewstepError:
    return FewstepError(
        f"{path} holds a pickled object, not plain weights",
        got=repr(value.origin)[:80] if isinstance(value, Inert) else type(value).__name__,
        do=UNSAFE,
    )


def _agreed_alpha(path: Path, stored: Any, given: float | None) -> float | None:
    if stored is None:
        return given
    if type(stored) not in (int, float) or not abs(stored) < _MOST_ALPHA:
        raise FewstepError(
            f"bad lora_alpha in {path}",
            expected=f"a number below {_MOST_ALPHA:g}",
            got=type(stored).__name__,
        )
    if given is not None and stored != given:
        raise FewstepError(f"lora_alpha contradicts {path}", expected=stored, got=given)
    return float(stored)


def _network_weights(path: Path, state: Mapping[Any, Any]) -> dict[str, Tensor]:
    """Return the network's tensors by their names in it, and nothing that counts steps."""
    tensors: dict[str, Tensor] = {}
    for key, value in named_tensors(path, state):
        name = _strip(key)
        if name in tensors:
            raise FewstepError(f"two tensors in {path} are both called {name[:80]!r}")
        if name.rpartition(".")[2] != _COUNTER:
            tensors[name] = value
    check_weights(path, tensors)
    if not any(name.startswith("transformer_layers.") for name in tensors):
        raise FewstepError(f"no protein network in {path}", expected="transformer_layers.*")
    return tensors


def _strip(name: str) -> str:
    while name.startswith(_PREFIXES):
        name = name.partition(".")[2]
    return name
