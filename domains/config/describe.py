"""The JSON schema and the documentation of the settings, from the models themselves.

``python -m domains.config.describe`` writes both into the repository that it is run from.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Annotated, Any, Union, get_args

from pydantic import BaseModel, Field, TypeAdapter
from pydantic.fields import FieldInfo

from domains.config.fields import OWN_FIELDS, field_settings
from domains.config.matrix import MatrixConfig
from domains.config.run import RunConfig
from domains.files.provenance import write_text
from domains.settings import inner_models

__all__ = ["PLACES", "markdown", "schema"]

_HEAD = """# Configuration

One YAML file says all about a run. It holds only departures from the defaults below; a key
that is not listed here, or given twice, is an error. A section that is given starts from the
defaults in its own table, not from those in the table that names it. This page is written by
`python -m domains.config.describe`, as is the JSON schema for editors
(`workflows/config/schema.json`).
"""
_MATRIX = """# A matrix

The file of a [matrix](../how_to/matrix.md) is written out as one run for each field.
"""
# The quantities of a JSON schema that a reader has to know, as mathematics.
_BOUNDS = {
    "minimum": "≥ {}",
    "exclusiveMinimum": "> {}",
    "maximum": "≤ {}",
    "exclusiveMaximum": "< {}",
}


def schema() -> str:
    """Write the JSON schema of a run's settings, of whatever field."""
    every: TypeAdapter[Any] = TypeAdapter(_runs())
    return _json(every.json_schema())


def _runs() -> Any:
    """Build the type of a run's settings: ``domain`` says which."""
    return Annotated[Union[tuple(_run_settings())], Field(discriminator="domain")]  # noqa: UP007


def matrix_schema() -> str:
    """Write the JSON schema of a matrix's settings."""
    return _json(MatrixConfig.model_json_schema())


def _json(content: dict[str, Any]) -> str:
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def _run_settings() -> list[type[BaseModel]]:
    """Return the settings of the runs of fewstep's own fields."""
    return [field_settings(name).run for name in OWN_FIELDS]


def markdown() -> str:
    """Write the documentation: every key with its meaning, values and default."""
    shown: list[type[BaseModel]] = []
    parts = [_HEAD]
    for root, head in [*((run, "") for run in _run_settings()), (MatrixConfig, _MATRIX)]:
        new = [model for model in _models(root) if model not in shown]
        shown += new
        parts += [*([head] if head else []), *map(_section, new)]
    return "\n".join(parts)


def _models(model: type[BaseModel]) -> list[type[BaseModel]]:
    """Return a model and those inside it, each once, in the order they are read."""
    found = [model]
    for one in found:
        for field in one.model_fields.values():
            found += [inner for inner in inner_models(field.annotation) if inner not in found]
    return found


def _section(model: type[BaseModel]) -> str:
    """Return the heading, meaning and table of one model."""
    title = f"`{model.__name__}`"
    if issubclass(model, RunConfig):
        title = f"A run's file: `domain: {get_args(model.model_fields['domain'].annotation)[0]}`"
    text = _one_line(model.__doc__).replace("``", "`")
    properties = model.model_json_schema()["properties"]
    rows = [
        f"| `{name}` | {_values(properties[name], field)} | {_default(field)} |"
        f" {_one_line(field.description)} |"
        for name, field in model.model_fields.items()
    ]
    table = ["| key | values | default | meaning |", "|---|---|---|---|", *rows]
    return "\n".join([f"## {title}", "", text, "", *table, ""])


def _one_line(text: str | None) -> str:
    """Return a docstring without its line breaks, which would end a row of a table."""
    return " ".join((text or "").split())


def _values(described: dict[str, Any], field: FieldInfo) -> str:
    """Describe the allowed values of a key."""
    models = [f"[`{m.__name__}`](#{m.__name__.lower()})" for m in inner_models(field.annotation)]
    if models:
        by_name = "by name: " if described.get("type") == "object" else ""
        others = [_kind(one) for one in described.get("anyOf", []) if one.get("type") == "array"]
        return by_name + " or ".join(dict.fromkeys([*others, *models]))
    kinds = [kind for kind in described.get("anyOf", [described]) if kind.get("type") != "null"]
    return ", ".join(map(_kind, kinds))


def _kind(described: dict[str, Any]) -> str:
    """Return one kind of value in words, with its range."""
    if "const" in described or "enum" in described:
        return ", ".join(f"`{v}`" for v in described.get("enum", [described.get("const")]))
    if described["type"] == "array":
        fixed = described.get("prefixItems", [])
        count = f"{len(fixed)} of " if fixed else "list of "
        return count + _kind(fixed[0] if fixed else described["items"])
    words = {"string": "text", "object": "mapping", "boolean": "`true`, `false`"}
    bounds = [text.format(f"{described[k]:g}") for k, text in _BOUNDS.items() if k in described]
    kind: str = described["type"]
    return f"{words.get(kind, kind)} {', '.join(bounds)}".strip()


def _default(field: FieldInfo) -> str:
    """Return the default as YAML would say it."""
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True, validated_data={})
    if isinstance(value, BaseModel):
        value = value.model_dump(mode="json", exclude_defaults=True)
        kind = getattr(field.get_default(), "kind", None)
        value = ({"kind": kind} if kind else {}) | value
    if value == {} and field.default_factory is None:
        return "its defaults"
    if value is None or value in ("", {}):
        return "none"
    text = re.sub(r"[\"{}]", "", json.dumps(value))
    return f"`{text}`"


PLACES = {
    Path("docs/reference/configuration.md"): markdown,
    Path("workflows/config/schema.json"): schema,
    Path("workflows/config/matrix_schema.json"): matrix_schema,
}

if __name__ == "__main__":
    for place, text in PLACES.items():
        write_text(place, text())
