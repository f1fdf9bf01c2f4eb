"""Published checkpoints of LiDiff and Distillation-DPO, read without running what is in them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from domains.errors import FewstepError
from domains.files.model_files import check_weights, existing_file, named_tensors
from domains.files.safe_archive import UNSAFE, load_archive
from domains.lidar.denoiser import LidarDenoiser
from domains.lidar.network.config import NetworkConfig
from domains.lidar.network.published import split

__all__ = ["read_teacher"]

# Names of a network in the papers' files, the first that is there: in a file of
# Distillation-DPO that holds student and teacher, the student is meant.
_ENCODERS = ("partial_enc", "DM_encoder")
_PREDICTORS = ("generator", "model", "DiffModel")
_REFINEMENTS = ("model_refine",)
_STEM_CHANNELS = 32


def read_teacher(source: Path, options: Mapping[str, Any]) -> LidarDenoiser:
    """Return the networks of a checkpoint file, or of all files in a directory.

    LiDiff publishes its refinement in a file of its own: put both into one directory.

    Args:
        source: ``.ckpt`` file, or directory of such files.
        options: ``network``, the architecture, where it is not that of the papers.

    Raises:
        FewstepError: A file is unsafe or damaged, a network is missing or of another width.
    """
    files = sorted(source.glob("*.ckpt")) if source.is_dir() else [source]
    networks: dict[str, dict[str, Tensor]] = {}
    for path in files:
        tensors = split(_weights(existing_file(path)), str(path))
        if twice := networks.keys() & tensors.keys():
            raise FewstepError(
                f"{source} holds the network {min(twice)} twice",
                do="Keep one teacher's files in a directory",
            )
        networks |= tensors
    encoder, predictor = _first(networks, _ENCODERS), _first(networks, _PREDICTORS)
    refinement = _first(networks, _REFINEMENTS)
    if encoder is None or predictor is None:
        raise FewstepError(
            f"{source} is no teacher of LiDAR scenes",
            expected=f"weights of {_ENCODERS[0]} and {_PREDICTORS[1]}",
            got=", ".join(networks) or "no network",
        )
    config = options.get("network") or {"width": _width(encoder, source)}
    parts = {"encoder": encoder, "predictor": predictor, "refinement": refinement or {}}
    weights = {f"{part}.{name}": v for part, held in parts.items() for name, v in held.items()}
    content = {"network": config, "refined": refinement is not None}
    return LidarDenoiser.build(weights, content, str(source))


def _weights(path: Path) -> dict[str, Tensor]:
    """Return the floating-point tensors of a file, copied out of it."""
    content = load_archive(path)
    state = content.get("state_dict", content) if isinstance(content, dict) else None
    if not isinstance(state, dict):
        raise FewstepError(f"{path} holds no weights", do=UNSAFE)
    # Counters of batches say nothing.
    tensors = {k: v for k, v in named_tensors(path, state) if v.dtype != torch.int64}
    check_weights(path, tensors)
    return {name: value.detach().clone() for name, value in tensors.items()}


def _first(
    networks: Mapping[str, dict[str, Tensor]], names: tuple[str, ...]
) -> dict[str, Tensor] | None:
    return next((networks[name] for name in names if name in networks), None)


def _width(encoder: Mapping[str, Tensor], source: Path) -> float:
    """Return the factor of all channels, read off the first layer."""
    kernel = encoder.get("stem.0.kernel")
    if kernel is None or kernel.ndim != 3:
        raise FewstepError(f"{source} has no encoder stem", expected="stem.0.kernel [27, 3, c]")
    width = kernel.shape[2] / _STEM_CHANNELS
    return NetworkConfig.parse({"width": width}, str(source)).width
