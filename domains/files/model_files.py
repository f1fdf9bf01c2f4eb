"""The canonical form of a model: safetensors and a JSON file; it holds no program at all."""

import logging
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from domains.errors import FewstepError
from domains.files.aside import make_way, put_aside
from domains.files.compact import compacted, expanded
from domains.files.provenance import atomic_path, record, sha256, write_json
from domains.files.regular import read_json_object
from domains.files.safe_archive import UNSAFE, check_count

__all__ = [
    "check_weights",
    "existing_file",
    "named_tensors",
    "read_model",
    "read_pair",
    "refuse_model",
    "write_compact",
    "write_model",
]

_log = logging.getLogger(__name__)

_FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
_FORMAT = "fewstep-model-1"
_COMPACT = "fewstep-compact-1"
# Modules of torch.compile, FSDP, checkpointed activations, and Lightning's Fabric.
_WRAPPERS = (
    "_orig_mod",
    "_fsdp_wrapped_module",
    "_fpw_module",
    "_checkpoint_wrapped_module",
    "_forward_module",
)
_BEGINNING = '{\n "format": "fewstep-'
_MOST_DIMENSIONS = 64  # torch reduces no more


def write_model(
    directory: Path, weights: Mapping[str, Tensor], config: dict[str, Any], *, half: bool = False
) -> None:
    """Write the canonical form: ``model.safetensors`` and ``model.json``.

    An earlier JSON file goes first, and the new one comes last and holds the hash of the weights:
    a crash in between leaves no pair, and never a silent mixture. Files of these names that are
    not of an earlier model of ours are moved aside.

    Args:
        directory: Where to; made if needed.
        weights: Finite floating-point tensors by name.
        config: Anything that JSON can hold. A field finds its architecture in it.
        half: Store the weights in float16.
    """
    path = Path(directory) / "model.safetensors"
    if half:
        weights = {name: value.half() for name, value in weights.items()}
    check_weights(path, weights)
    _write_pair(path, weights, {"format": _FORMAT}, config)


def write_compact(directory: Path, source: Path, base: Path | None = None, bits: int = 4) -> None:
    """Write a model in few bits (see ``domains.files.compact``); ``read_model`` reads it as well.

    Args:
        directory: Where to; made if needed.
        source: Directory of the model.
        base: Directory, beside ``directory``, of the model that it started from: then only the
            difference is stored.
        bits: Of the difference: 4 or 2.

    Raises:
        FewstepError: The base is elsewhere, or has other names or shapes.
    """
    path = Path(directory) / "model.safetensors"
    if bits not in (4, 2):
        raise FewstepError("no such compact form", expected="4 or 2 bits", got=bits)
    weights, config = read_model(source)
    head: dict[str, Any] = {"format": _COMPACT}
    beside = None
    if base is not None:
        if base.resolve().parent != path.parent.resolve().parent:
            raise FewstepError(
                f"the base model {base} is not beside {path.parent}", do="Put them side by side"
            )
        beside, _ = read_model(base)
        if _shapes(beside) != _shapes(weights):
            raise FewstepError(f"{base} has another architecture than {source}")
        head["base"] = {"name": base.name, "sha256": sha256(base / path.name)}
    _write_pair(path, compacted(weights, beside, bits), head, config)


def _shapes(weights: Mapping[str, Tensor]) -> dict[str, torch.Size]:
    return {name: value.shape for name, value in weights.items()}


def _write_pair(
    path: Path, tensors: Mapping[str, Tensor], head: dict[str, Any], config: dict[str, Any]
) -> None:
    # Copies, because safetensors refuses tensors that share memory (tied weights).
    plain = {name: t.detach().cpu().contiguous().clone() for name, t in tensors.items()}
    with atomic_path(path) as temporary:
        try:
            save_file(plain, temporary, metadata={"format": "pt"})
        except SafetensorError as error:
            raise FewstepError(f"can't write {path}", got=error, do="Check the disk") from error
        _make_way(path, temporary)
        path.with_suffix(".json").unlink(missing_ok=True)
    content = record(**head, sha256=sha256(path), config=config)
    write_json(path.with_suffix(".json"), content)


def _make_way(path: Path, new: Path) -> None:
    """Move aside weights and a JSON file that are of no model of ours."""
    sidecar = path.with_suffix(".json")
    make_way(sidecar, _BEGINNING)
    # Without it they are either the same, left by a process that was killed, or somebody else's.
    if sidecar.exists() or not os.path.lexists(path):
        return
    if not path.is_file() or sha256(path) != sha256(new):
        _log.warning("%s is somebody else's: it is now %s", path, put_aside(path, "other"))


def refuse_model(directory: Path) -> None:
    """Refuse a directory in which there is a model of ours, perhaps of hours of training.

    Raises:
        FewstepError: There is one.
    """
    if directory.is_dir() and (directory / "model.json").exists():
        raise FewstepError(
            f"there is a model in {directory} already",
            expected="a new directory",
            do="Give another --output, or move it away",
        )


def read_model(directory: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read a model in canonical form, after checking the hash of the weights.

    Returns:
        Weights by name and the configuration.

    Raises:
        FewstepError: A file is missing, damaged, or not of its pair.
    """
    path = Path(directory) / "model.safetensors"
    return read_pair(existing_file(path), path.with_suffix(".json"), required=True)


def read_pair(
    path: Path, sidecar: Path, *, required: bool
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read weights and, where it is required or exists, the file that describes them."""
    content: dict[str, Any] = {}
    if required or sidecar.exists():
        content = _read_sidecar(existing_file(sidecar), path)
    try:
        with safe_open(path, "pt") as file:
            check_count(path, len(file.keys()))
        weights = load_file(path)
    except (SafetensorError, OSError, ValueError, KeyError, RuntimeError) as error:
        raise FewstepError(
            f"{path} is not a whole safetensors file", got=str(error)[:200]
        ) from error
    if content.get("format") == _COMPACT:
        weights = expanded(path, weights, _base_weights(content.get("base"), path))
    check_weights(path, weights)
    config = content.get("config", {})
    return (weights if required else dict(named_tensors(path, weights))), config


def _base_weights(base: Any, path: Path) -> dict[str, Tensor] | None:
    """Return the weights of the model beside it that a compact model is the difference from."""
    if base is None:
        return None
    name = base.get("name") if isinstance(base, dict) else None
    if not isinstance(name, str) or not name or Path(name).name != name:
        raise FewstepError(f"{path.with_suffix('.json')} names no base model", got=base)
    beside = path.parent.resolve().parent / name
    if not beside.is_dir():
        raise FewstepError(
            f"{path} is stored as a difference from the model {name}",
            expected=f"that model at {beside}",
            do="Keep both directories side by side",
        )
    weights, _ = read_model(beside)
    if (found := sha256(beside / path.name)) != base.get("sha256"):
        raise FewstepError(
            f"{beside} is not the model that {path} is the difference from",
            expected=f"sha256 {base.get('sha256')}",
            got=found,
        )
    return weights


def _read_sidecar(sidecar: Path, weights: Path) -> dict[str, Any]:
    try:
        content = read_json_object(sidecar)
    except (OSError, ValueError) as error:
        raise FewstepError(f"can't read {sidecar}", got=error) from error
    if content.get("format") not in (_FORMAT, _COMPACT):
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
    return content


def named_tensors(path: Path, state: Mapping[Any, Any]) -> Iterator[tuple[str, Tensor]]:
    """Yield the tensors of a state dict read from ``path``, and refuse anything else in it.

    What wraps a network or a part of it for compiling, sharding or recomputing leaves no trace
    in the names.
    """
    seen: set[str] = set()
    for name, value in state.items():
        if not isinstance(name, str) or not isinstance(value, Tensor):
            # Torch warns at the sight of a storage as a name.
            kind = repr(name)[:80] if isinstance(name, str) else type(name).__name__
            raise FewstepError(f"{path} holds more than tensors", got=kind, do=UNSAFE)
        inner = ".".join(part for part in name.split(".") if part not in _WRAPPERS)
        if inner in seen:
            raise FewstepError(f"two tensors in {path} are both called {inner[:80]!r}")
        seen.add(inner)
        yield inner, value


def check_weights(path: Path, weights: Mapping[str, Tensor]) -> None:
    """Refuse weights of ``path`` that are none, not finite, or claim more than the file holds."""
    if not weights:
        raise FewstepError(f"no weights in {path}")
    # A view can claim any size over a few bytes, so sizes come before values.
    total = sum(value.numel() * value.element_size() for value in weights.values())
    storages = [value.untyped_storage() for value in weights.values()]
    held = {storage.data_ptr(): storage.nbytes() for storage in storages}
    if total > 4 * sum(held.values()):
        raise FewstepError(f"weights in {path} claim more memory than the file holds", got=total)
    for key, value in weights.items():
        name = (key if key.isprintable() else repr(key))[:80]
        counter = value.dtype == torch.int64 and value.ndim == 0  # batch norms count steps
        if value.dtype not in _FLOATS and not counter:
            raise FewstepError(
                f"weight {name} in {path}", expected="floating-point numbers", got=value.dtype
            )
        if value.ndim > _MOST_DIMENSIONS:
            raise FewstepError(f"weight {name} in {path} has {value.ndim} dimensions")
        if not bool(torch.isfinite(value).all()):
            raise FewstepError(f"weight {name} in {path} is not finite", do="Use another file")


def existing_file(path: Path) -> Path:
    """Return the path if a weights file can be there.

    Raises:
        FewstepError: It is missing, no file, or a pickled module.
    """
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
