"""Teacher and student weights from files, without running anything that is in them.

Foreign checkpoints are read by ``safe_archive``; the canonical form, safetensors with a JSON
file beside it, holds no program at all.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from domains.errors import FewstepError
from domains.protein.hyper_parameters import read_settings
from domains.protein.lora import has_lora, merge_lora
from domains.protein.safe_archive import UNSAFE, Inert, load_archive
from domains.provenance import atomic_path, record, sha256, write_json

__all__ = ["Checkpoint", "read_checkpoint", "read_model", "write_model"]

_PREFIXES = ("module.", "model.", "nn.")
_FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
_FORMAT = "fewstep-model-1"


@dataclass(frozen=True)
class Checkpoint:
    """What a file says about a network.

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
    path = _existing(Path(path))
    if path.suffix == ".safetensors":
        weights, settings = _read_pair(path, path.with_suffix(".json"), required=False)
        settings, source = _canonical_settings(path, settings), "safetensors"
    else:
        state, settings, source = _split(path, load_archive(path))
        weights = _network_weights(path, state)
    alpha = _agreed_alpha(path, settings.pop("lora_alpha"), lora_alpha)
    if has_lora(weights):
        weights, source = merge_lora(weights, alpha), f"{source}+lora"
        _check_weights(path, weights)
    return Checkpoint(weights=weights, source_format=source, **settings)


def write_model(directory: Path, weights: Mapping[str, Tensor], config: dict[str, Any]) -> None:
    """Write the canonical form: ``model.safetensors`` and ``model.json``.

    The JSON file comes last and holds the hash of the weights: a crash in between leaves a
    pair that ``read_model`` refuses, never a silent mixture.

    Args:
        directory: Where to; made if needed.
        weights: Finite floating-point tensors by name.
        config: Anything that JSON can hold. ``read_checkpoint`` looks for ``network``,
            ``target`` and ``motif``.
    """
    path = Path(directory) / "model.safetensors"
    _check_weights(path, weights)
    # Copies, because safetensors refuses tensors that share memory (tied weights).
    plain = {name: t.detach().cpu().contiguous().clone() for name, t in weights.items()}
    with atomic_path(path) as temporary:
        try:
            save_file(plain, temporary, metadata={"format": "pt"})
        except SafetensorError as error:
            raise FewstepError(f"can't write {path}", got=error, do="Check the disk") from error
    content = record(format=_FORMAT, sha256=sha256(path), config=config)
    write_json(path.with_suffix(".json"), content)


def read_model(directory: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read what ``write_model`` wrote, after checking the hash of the weights.

    Returns:
        Weights by name and the configuration.

    Raises:
        FewstepError: A file is missing, damaged, or not of its pair.
    """
    path = Path(directory) / "model.safetensors"
    return _read_pair(_existing(path), path.with_suffix(".json"), required=True)


# Canonical form


def _read_pair(
    path: Path, sidecar: Path, *, required: bool
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    config = {}
    if required or sidecar.exists():
        config = _read_sidecar(_existing(sidecar), path)
    try:
        weights = load_file(path)
    except (SafetensorError, OSError, ValueError, KeyError, RuntimeError) as error:
        raise FewstepError(f"{path} is not a whole safetensors file", got=error) from error
    _check_weights(path, weights)
    return weights, config


def _read_sidecar(sidecar: Path, weights: Path) -> dict[str, Any]:
    try:
        content = json.loads(sidecar.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise FewstepError(f"can't read {sidecar}", got=error) from error
    if not isinstance(content, dict) or content.get("format") != _FORMAT:
        raise FewstepError(f"{sidecar} is of another kind", expected=f"format {_FORMAT}")
    if not isinstance(content.get("config"), dict):
        raise FewstepError(f"{sidecar} has no config")
    if (found := sha256(weights)) != content.get("sha256"):
        raise FewstepError(
            f"{weights} is not the file that {sidecar.name} describes",
            expected=f"sha256 {content.get('sha256')}",
            got=found,
            do="Prepare the model again",
        )
    return content["config"]


def _canonical_settings(path: Path, config: dict[str, Any]) -> dict[str, Any]:
    found = {key: config.get(key) for key in ("network", "target", "lora_alpha")}
    found["motif"] = config.get("motif", False)
    wanted = {"network": dict | None, "target": str | None, "motif": bool}
    for key, kind in wanted.items():
        if not isinstance(found[key], kind):
            raise FewstepError(f"bad {key} beside {path}", got=repr(found[key])[:80])
    return found


# Meaning of the content


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
    return content["state_dict"], settings, kind


def _unsupported(path: Path, value: Any) -> FewstepError:
    return FewstepError(
        f"{path} holds a pickled object, not plain weights",
        got=value.origin if isinstance(value, Inert) else type(value).__name__,
        do=UNSAFE,
    )


def _agreed_alpha(path: Path, stored: Any, given: float | None) -> float | None:
    if stored is None:
        return given
    if type(stored) not in (int, float):
        raise FewstepError(f"bad lora_alpha in {path}", expected="a number", got=repr(stored)[:80])
    if given is not None and stored != given:
        raise FewstepError(f"lora_alpha contradicts {path}", expected=stored, got=given)
    return float(stored)


def _network_weights(path: Path, state: dict[Any, Any]) -> dict[str, Tensor]:
    """Strip wrappers' prefixes and copy the tensors out of the mapped file."""
    found: dict[str, Tensor] = {}
    for key, value in state.items():
        if not isinstance(key, str) or not isinstance(value, Tensor):
            raise FewstepError(f"{path} holds more than tensors", got=repr(key)[:80], do=UNSAFE)
        name = _strip(key)
        if name in found:
            raise FewstepError(f"two tensors in {path} are both called {name}")
        found[name] = value
    _check_weights(path, found)
    if not any(name.startswith("transformer_layers.") for name in found):
        raise FewstepError(f"no protein network in {path}", expected="transformer_layers.*")
    return {name: value.detach().clone() for name, value in found.items()}


def _strip(name: str) -> str:
    while name.startswith(_PREFIXES):
        name = name.partition(".")[2]
    return name


def _check_weights(path: Path, weights: Mapping[str, Tensor]) -> None:
    if not weights:
        raise FewstepError(f"no weights in {path}")
    # A view can claim any size over a few bytes, so sizes come before values.
    total = sum(value.numel() * value.element_size() for value in weights.values())
    storages = [value.untyped_storage() for value in weights.values()]
    held = {storage.data_ptr(): storage.nbytes() for storage in storages}
    if total > 4 * sum(held.values()):
        raise FewstepError(f"weights in {path} claim more memory than the file holds", got=total)
    for name, value in weights.items():
        if value.dtype not in _FLOATS:
            raise FewstepError(
                f"weight {name} in {path}", expected="floating-point numbers", got=value.dtype
            )
        if not bool(torch.isfinite(value).all()):
            raise FewstepError(f"weight {name} in {path} is not finite", do="Use another file")


def _existing(path: Path) -> Path:
    if not path.exists():
        raise FewstepError(f"no file {path}", do="Check the path")
    if not path.is_file():
        raise FewstepError(f"{path} is not a file", do="Name the weights file itself")
    if path.suffix == ".pkl":
        raise FewstepError(
            f"{path} is a pickled module, which is unsupported: reading it would run its code",
            do=UNSAFE,
        )
    return path
