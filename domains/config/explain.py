"""One line on the first thing that is wrong with settings."""

from __future__ import annotations

import reprlib
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError

from domains.errors import FewstepError
from domains.settings import inner_models

__all__ = ["explained"]

_SEE = "See docs/reference/configuration.md for the keys and their ranges"
_ALIKE = 0.85  # of difflib's ratio: above it a misspelling is likelier than a wrong place
_MOST_LETTERS = 60  # of a key; longer ones are like none of ours


def explained(
    error: ValidationError, source: str, settings: type[BaseModel] | None = None
) -> FewstepError:
    """Return the error that a reader of ``source`` can act on.

    An unknown key comes first: what is missing may only be misspelt.

    Args:
        error: What pydantic found.
        source: Name of the file.
        settings: Class of the settings, to name the key that may have been meant.
    """
    errors = error.errors()
    first = next((one for one in errors if one["type"] == "extra_forbidden"), errors[0])
    where = ".".join(map(str, first["loc"]))[:200] or "the file"
    if first["type"] == "extra_forbidden":
        meant = _meant(first["loc"], settings) if settings else ""
        return FewstepError(f"{source}, {where}: unknown key", do=meant or _SEE)
    if first["type"] == "missing":
        return FewstepError(f"{source}, {where}: Field required", do=_SEE)
    return FewstepError(
        f"{source}, {where}: {first['msg']}", got=_shown(first.get("input")), do=_SEE
    )


def _meant(place: tuple[int | str, ...], settings: type[BaseModel]) -> str:
    """Return a question about the key that may have been meant; empty if none is like it."""
    *above, key = place
    if not isinstance(key, str) or len(key) > _MOST_LETTERS:
        return ""
    models = _models_at(above, settings)
    known = sorted({name for model in models for name in model.model_fields})
    elsewhere = [".".join(path) for path in _places(settings) if path[-1] == key]
    alike = get_close_matches(key, known, n=1, cutoff=_ALIKE)
    found = [*alike, *elsewhere, *get_close_matches(key, known, n=1)]
    return f"Did you mean {found[0]}?" if found else ""


def _models_at(above: list[int | str], settings: type[BaseModel]) -> list[type[BaseModel]]:
    """Return the classes that may stand at a place; names, numbers and kinds lead no deeper."""
    models, named = [settings], False
    for part in above:
        if named:  # a name of the reader's, that may be called like a key
            named = False
            continue
        fields = [model.model_fields[part] for model in models if part in model.model_fields]
        if fields:
            models = [inner for field in fields for inner in inner_models(field.annotation)]
            named = any(_is_by_name(field.annotation) for field in fields)
        else:
            models = [model for model in models if _is_kind(model, part)] or models
    return models


def _is_by_name(annotation: Any) -> bool:
    """Tell whether an annotation is, or allows, a mapping of names to values."""
    kinds: list[Any] = [get_origin(one) for one in (annotation, *get_args(annotation))]
    return any(kind in (dict, Mapping) for kind in kinds)


def _is_kind(model: type[BaseModel], part: int | str) -> bool:
    """Tell whether a part of a place is the kind by which a union knows this class."""
    kind = model.model_fields.get("kind")
    return kind is not None and part in get_args(kind.annotation)


def _places(settings: type[BaseModel]) -> Iterator[tuple[str, ...]]:
    """Yield the places of all keys of settings, those near the top first."""
    waiting: list[tuple[tuple[str, ...], type[BaseModel]]] = [((), settings)]
    seen: set[type[BaseModel]] = set()
    while waiting:
        path, model = waiting.pop(0)
        if model in seen:
            continue
        seen.add(model)
        for name, field in model.model_fields.items():
            yield (*path, name)
            inner = list(inner_models(field.annotation))
            below = (*path, name, "NAME") if _is_by_name(field.annotation) else (*path, name)
            waiting += [(below, one) for one in inner]


def _shown(value: Any) -> str:
    """Return the first characters of a value's repr."""
    try:
        return reprlib.repr(value)[:200]
    except ValueError:  # Python writes out no integer of thousands of digits.
        return f"a huge {type(value).__name__}"
