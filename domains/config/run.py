"""A whole run's settings, read from YAML and checked before any job starts."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import Field, ValidationError, model_validator

from domains.config.base import Config, Name
from domains.config.sampling import Evaluate, Generate, SampleSet
from domains.config.training import Distil, Pretrain
from domains.errors import FewstepError

__all__ = ["RunConfig", "load_config", "parse_config"]


class RunConfig(Config):
    """A whole run, from teacher to report."""

    name: Name
    domain: Literal["protein"]
    seed: int = Field(default=0, ge=0)
    teacher: str
    pretrain: Pretrain | None = None
    students: dict[Name, Distil] = Field(default_factory=dict)
    generate: Generate
    sets: dict[Name, SampleSet]
    evaluate: Evaluate = Evaluate()
    title: str = ""
    notes: str = ""

    @model_validator(mode="after")
    def _known_models(self) -> RunConfig:
        known = {"teacher", "data", *self.students}
        for name, sample_set in self.sets.items():
            if sample_set.model not in known:
                raise ValueError(
                    f"sets.{name}.model is {sample_set.model!r}, not one of {sorted(known)}"
                )
        return self


class _UniqueKeys(yaml.SafeLoader):
    """A YAML loader that refuses a key given twice."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for key in keys:
            if keys.count(key) > 1:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} is given twice", node.start_mark
                )
        return super().construct_mapping(node, deep)


def load_config(path: Path) -> RunConfig:
    """Read and validate a run's YAML.

    Raises:
        FewstepError: The file is missing, no YAML, or says something that can't be.
    """
    path = Path(path)
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=_UniqueKeys)
    except (OSError, UnicodeDecodeError) as error:
        raise FewstepError(f"can't read the config {path}", got=error) from error
    except yaml.YAMLError as error:
        raise FewstepError(f"{path} is no valid YAML", got=error, do="Mend it") from error
    return parse_config(content, str(path))


def parse_config(content: Any, source: str = "config") -> RunConfig:
    """Validate a run's settings as read from YAML; ``source`` names them in messages."""
    try:
        return RunConfig.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise FewstepError(
            f"{source}, {where}: {first['msg']}",
            got=repr(first.get("input"))[:80],
            do="See docs/configuration.md for the keys and their ranges",
        ) from error
