"""YAML of a run: plain data only, no key twice, and no more than a file of that kind holds."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import yaml

from domains.errors import FewstepError
from domains.files.regular import read_regular

__all__ = ["read_yaml"]

_TAG = "tag:yaml.org,2002:"
# What JSON can hold too, in which a run's settings are written down.
_KINDS = ("null", "bool", "int", "float", "str", "seq", "map")
# With every alias written out, for a few lines of aliases can stand for billions of values. A
# run has hundreds, and the ends of its shards.
_MOST_VALUES = 500_000


class _Plain(yaml.SafeLoader):
    """A loader of plain data that refuses a key given twice and text that no file can hold."""

    yaml_constructors = {  # noqa: RUF012
        tag: make
        for tag, make in yaml.SafeLoader.yaml_constructors.items()
        if tag is None or tag.removeprefix(_TAG) in _KINDS
    }

    def construct_mapping(self, node: Any, deep: bool = False) -> dict:
        seen = set()
        for named, _ in node.value:
            if named.tag != f"{_TAG}merge" and isinstance(named, yaml.ScalarNode):
                key = self.construct_object(named)
                if key in seen:
                    raise _wrong(node, f"the key {key!r} is given twice")
                seen.add(key)
        return super().construct_mapping(node, deep)

    def construct_scalar(self, node: Any) -> Any:
        value = super().construct_scalar(node)
        # Surrogates can't be encoded; NUL ends a path.
        if "\0" in value or any("\ud800" <= character <= "\udfff" for character in value):
            raise _wrong(node, "text with a character that no file can hold")
        return value


def read_yaml(path: Path) -> Any:
    """Return the content of a YAML file in which no key is given twice.

    Raises:
        FewstepError: The file is missing or no such YAML.
    """
    try:
        text = read_regular(path)
    except (OSError, UnicodeDecodeError) as error:
        raise FewstepError(f"can't read the config {path}", got=error) from error
    try:
        loader = _Plain(text)
        root = loader.get_single_node()
        if root is None:
            return None
        if _values(root, {}) > _MOST_VALUES:
            raise _wrong(root, f"more than {_MOST_VALUES} values, aliases written out")
        return loader.construct_document(root)
    except Exception as error:  # Wrong tags raise anything inside the parser.
        raise FewstepError(
            f"{path} is no valid YAML", got=f"{type(error).__name__} {error}"[:300], do="Mend it"
        ) from error


def _values(node: yaml.Node, known: dict[int, float]) -> float:
    """Count the values of a tree with every alias written out; infinite if it holds itself."""
    if id(node) not in known:
        known[id(node)] = math.inf
        children = [] if isinstance(node, yaml.ScalarNode) else node.value
        if isinstance(node, yaml.MappingNode):
            children = [part for pair in node.value for part in pair]
        known[id(node)] = 1 + sum(_values(child, known) for child in children)
    return known[id(node)]


def _wrong(node: yaml.Node, what: str) -> yaml.constructor.ConstructorError:
    return yaml.constructor.ConstructorError(None, None, what, node.start_mark)
