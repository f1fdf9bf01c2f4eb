"""Reading a run's settings, each by the class of the field that it names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from domains.config.explain import explained
from domains.config.fields import field_names, field_settings
from domains.config.run import RunConfig
from domains.errors import FewstepError
from domains.files.yaml_file import read_yaml
from domains.settings import Name

__all__ = ["continued", "load_config", "parse_config", "run_settings"]


def load_config(path: Path) -> RunConfig:
    """Read and validate a run's YAML.

    Raises:
        FewstepError: The file is missing, no YAML, or says something that can't be.
    """
    return parse_config(read_yaml(path), str(path))


def parse_config(content: Any, source: str = "config") -> RunConfig:
    """Validate a run's settings as read from YAML; ``source`` names them in messages."""
    settings = run_settings(content, source)
    try:
        run = settings.model_validate(content)
        return settings.model_validate(run.written_out())
    except ValidationError as error:
        raise explained(error, source, settings) from error


class _Named(BaseModel):
    """What every run says, whatever its field."""

    name: Name
    domain: str


def run_settings(content: Any, source: str = "config") -> type[RunConfig]:
    """Return the settings class of the field that a run names.

    Raises:
        FewstepError: It names none that there is.
    """
    try:
        name = _Named.model_validate(content).domain
    except ValidationError as error:
        raise explained(error, source) from error
    if name not in field_names():
        raise FewstepError(
            f"{source}, domain: no such field",
            expected=" or ".join(field_names()),
            got=repr(name),
            do="See docs/reference/configuration.md for the keys and their ranges",
        )
    return field_settings(name).run


def continued(settings: RunConfig, path: Path) -> RunConfig:
    """Return settings that keep the shards of the run's earlier ones.

    Args:
        settings: Of a run that is about to start.
        path: Where it wrote its settings the last time; none, or of another version, is no
            earlier run.
    """
    try:
        earlier = load_config(path)
    except FewstepError:
        return settings
    ends = dict(settings.generate.shard_ends_of)
    for name in settings.sets.keys() & earlier.sets.keys():
        given = settings.sets[name].files or earlier.sets[name].files
        if not given and not (plan := settings.plan(name)).shard_ends:
            resized = settings.generate.shard_size is not None
            ends[name] = plan.following(earlier.plan(name), resized)
    noted = {name: kept for name, kept in ends.items() if kept}
    plan = settings.generate.model_copy(update={"shard_ends_of": noted})
    return settings.model_copy(update={"generate": plan})
