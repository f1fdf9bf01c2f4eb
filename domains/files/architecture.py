"""A network's description in a JSON file, for weights that come without one."""

import json
from pathlib import Path
from typing import Any

from domains.errors import FewstepError

__all__ = ["read_architecture"]

_FORMATS = "fewstep-model-"
_KNOWN = ("network", "target", "motif", "cath_mapping")


def read_architecture(path: Path | None) -> dict[str, Any]:
    """Read options of a field's ``prepare`` from a model's description; none without one.

    Args:
        path: ``model.json`` of a model in canonical form, the directory that it is in, or a file
            with the network's configuration alone.

    Raises:
        FewstepError: It can't be read, or is no description.
    """
    if path is None:
        return {}
    path = path / "model.json" if path.is_dir() else path
    if not path.is_file():
        raise FewstepError(f"there is no architecture {path}", expected="a model.json")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise FewstepError(f"can't read the architecture {path}", got=error) from error
    if isinstance(content, dict) and str(content.get("format", "")).startswith(_FORMATS):
        content = content.get("config")
    elif isinstance(content, dict) and "network" not in content:
        content = {"network": content}
    if not isinstance(content, dict) or not isinstance(content.get("network"), dict):
        raise FewstepError(f"{path} is no architecture", expected="a JSON object with a network")
    return {key: content[key] for key in _KNOWN if content.get(key) is not None}
