"""The configuration that a Lightning checkpoint carries, as plain containers."""

import itertools
from collections.abc import Iterator
from typing import Any

from domains.errors import FewstepError
from domains.files.safe_archive import Inert

__all__ = ["read_settings"]

_MOST_SETTINGS = 10_000  # real configurations have about a hundred


def read_settings(content: Any) -> dict[str, Any]:
    """Extract the network's settings from a checkpoint's hyper-parameters.

    Args:
        content: ``hyper_parameters`` of a checkpoint: dictionaries, or what
            ``safe_archive.load_archive`` leaves of omegaconf's containers.

    Returns:
        ``network`` (``cfg_exp.model.nn``, interpolations unresolved), ``target``, ``motif``
        and ``lora_alpha``; None, or False for ``motif``, where there is none.

    Raises:
        FewstepError: A setting is of an unknown kind, or there are absurdly many.
    """
    config = _child(content, "cfg_exp")
    model, budget = _child(config, "model"), itertools.count()
    network = _plain(_child(model, "nn"), budget)
    target = _plain(_child(model, "target_pred"), budget)
    motif = _plain(_child(_child(config, "training"), "motif_conditioning"), budget)
    return {
        "network": network if isinstance(network, dict) else None,
        "target": target if isinstance(target, str) else None,
        "motif": motif is True,
        "lora_alpha": _plain(_child(_child(config, "lora"), "lora_alpha"), budget),
    }


def _open(node: Any) -> Any:
    """Unwrap an omegaconf stand-in: a container's content or a leaf's value."""
    if isinstance(node, Inert):
        for key in ("_content", "_val"):
            if key in node.state:
                return node.state[key]
        raise FewstepError("a setting is of an unknown class", got=node.origin)
    return node


def _child(node: Any, key: str) -> Any:
    content = _open(node)
    return content.get(key) if isinstance(content, dict) else None


def _plain(node: Any, budget: Iterator[int]) -> Any:
    if next(budget) > _MOST_SETTINGS:
        raise FewstepError("a configuration is absurdly large", expected=f"{_MOST_SETTINGS} nodes")
    content = _open(node)
    if isinstance(content, dict):
        return {str(_open(key)): _plain(value, budget) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [_plain(value, budget) for value in content]
    if content is None or isinstance(content, str | bool | int | float):
        return content
    raise FewstepError("a setting is of an unknown kind", got=type(content).__name__)
