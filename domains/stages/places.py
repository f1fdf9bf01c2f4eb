"""Check the paths of a command: no output may replace an input or another output."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from domains.config import bundled_models
from domains.errors import FewstepError

__all__ = ["check_places"]

OUTPUTS = ("output", "table", "skipped", "state")
# Files of the stages: one of these names inside a directory that is read is an input too.
_FILES = {
    *("model.json", "model.safetensors", "config.json", "settings.json", "log.csv"),
    *("index.csv", "skipped.csv", "shard.json"),
    *("samples.csv", "set.csv", "set.json", "gallery.json"),
}
# Of a training, in its directory: they are moved aside when its settings change.
_STATE = {"settings.json", "log.csv", "curves", "state"}
_MERGED = {"index.csv", "skipped.csv"}  # lie beside the shards that they are made of


def check_places(options: Mapping[str, Any]) -> None:
    """Refuse options of a stage that would have it write over what it reads or has written.

    Args:
        options: By the name of the parameter.

    Raises:
        FewstepError: Two options name the same place, whatever path or link leads there, or one
            a file of the other.
    """
    given = {name: value for name, value in options.items() if _is_place(name, value)}
    places = {name: Path(os.path.realpath(value)) for name, value in given.items()}
    written = {name: path for name, path in places.items() if name in OUTPUTS}
    if "table" in written and written["table"].name:  # a LaTeX table is written beside it
        written["table, as .tex"] = written["table"].with_suffix(".tex")
    for name, path in written.items():
        for other, place in (places | written).items():
            if name != other and (path == place or _harms(name, path, other, place)):
                raise FewstepError(
                    f"can't write {path}",
                    got=f"--{name} and --{other} are in each other's way ({place})",
                    do="Name another place for what is written",
                )


def _is_place(name: str, value: Any) -> bool:
    return isinstance(value, Path) or (
        name == "source" and bool(value) and value not in bundled_models()
    )


def _harms(name: str, path: Path, other: str, place: Path) -> bool:
    """Return whether writing ``path`` touches a file in ``place``, or ``place`` in ``path``."""
    if place.is_relative_to(path):  # in the directory that is written
        inside = place.relative_to(path).parts
        moved = name == "state" and inside[0] in _STATE
        return moved or (len(inside) == 1 and inside[0] in _FILES - {"config.json"})
    if path.is_relative_to(place) and other not in OUTPUTS and not path.is_dir():
        inside = path.relative_to(place).parts
        merged = name in ("output", "skipped") and len(inside) == 1 and inside[0] in _MERGED
        return inside[-1] in _FILES and not merged
    return False
