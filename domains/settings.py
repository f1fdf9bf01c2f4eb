"""Base of all settings: frozen, and an unknown key is an error."""

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, TypeGuard, get_args

from pydantic import BaseModel, ConfigDict, Field, model_validator

__all__ = ["MOST_SEED", "MOST_SETS", "Config", "FoldClass", "Name", "inner_models", "is_mapping"]

MOST_SEED = 2**63 - 1  # the largest integer of a table's column
MOST_SETS = 1000  # of a sweep or matrix: each job reads all of them, in ten seconds
# What JSON writes as it is and YAML does not read, or reads as the end of a line; a run's settings
# are written in the one and read as the other. No file holds a surrogate, NUL ends a path.
_LOST = re.compile("[\0\x7f-\x9f\u2028\u2029\ud800-\udfff\ufffe\uffff]")
_NUMBERS = (int, float, int | None, float | None)

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", max_length=100)]
# Of CATH: C, C.A or C.A.T, such as 1, 2.60 or 3.30.70.
FoldClass = Annotated[str, Field(pattern=r"^[1-9][0-9]{0,3}(\.[1-9][0-9]{0,5}){0,2}$")]


class Config(BaseModel):
    """Frozen, and a key that is not known is an error.

    The text under each field is its description, in the JSON schema and the documentation.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True
    )

    @model_validator(mode="before")
    @classmethod
    def _truth_is_no_number(cls, content: Any) -> Any:
        """Refuse yes and no where a number is meant, which pydantic would read as 1 and 0."""
        for name, field in cls.model_fields.items():
            value = content.get(name) if isinstance(content, dict) else None
            if isinstance(value, bool) and field.annotation in _NUMBERS:
                raise ValueError(f"{name} should be a number, not yes or no")
        return content

    @model_validator(mode="before")
    @classmethod
    def _text_can_be_written_down(cls, content: Any) -> Any:
        """Refuse text that would come back from the run's own files as another, or not at all."""
        for name in cls.model_fields:
            value = content.get(name) if isinstance(content, dict) else None
            if (found := _lost(value)) is not None:
                raise ValueError(f"{name} holds the character U+{ord(found):04X}: leave it out")
        return content


def inner_models(annotation: Any) -> Iterator[type[BaseModel]]:
    """Yield the classes of settings that an annotation names, at any depth."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from inner_models(part)


def is_mapping(content: Any) -> TypeGuard[Mapping[str, Any]]:
    """Tell whether settings, as read from YAML or JSON, are a mapping."""
    return isinstance(content, Mapping)


def _lost(value: Any) -> str | None:
    """Return a character of a text, or of texts in a list or mapping, that no file keeps."""
    if isinstance(value, str):
        found = _LOST.search(value)
        return str(found[0]) if found else None
    if isinstance(value, dict):
        value = [*value, *value.values()]
    inner = value if isinstance(value, list | tuple) else ()
    return next((lost for one in inner if (lost := _lost(one)) is not None), None)
