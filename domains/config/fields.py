"""The registry of fields: those of this package, and those that other packages bring.

A field is described by a ``FieldSettings``, in a module that imports no torch. Another package
adds its own by an entry point of the group ``fewstep.fields``, such as

    [project.entry-points."fewstep.fields"]
    weather = "fewstep_weather.settings:SETTINGS"

and no line of fewstep changes: its runs are parsed, its rules run, its measures reported.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any

from domains.errors import FewstepError

if TYPE_CHECKING:
    from domains.config.run import RunConfig

__all__ = [
    "GROUP",
    "MADE",
    "OWN_FIELDS",
    "FieldSettings",
    "bundled_models",
    "field_names",
    "field_settings",
    "located",
]

GROUP = "fewstep.fields"
# One sample and several, and what happened to them.
MADE = ("sample made", "samples made")
OWN_FIELDS = {"protein": "domains.protein.settings", "lidar": "domains.lidar.settings"}


@dataclass(frozen=True)
class FieldSettings:
    """All that can be said of a field without importing what it computes with.

    Attributes:
        name: The value of ``domain`` in a run's settings.
        run: Settings of its runs.
        implementation: Where its ``Field`` is: "module:name".
        metrics: Where the texts of its measures are: "module:name" of a mapping by column.
        bundled: Directories of models that come with it, by name.
        published: YAML of numbers that papers state; None if there is none.
        made: How its reports say that one sample, or several, were made.
        check: Raises FewstepError if a program that a run calls can't be used.
        environment: Conda file of another package's field; none: ``envs/<name>.yaml`` of fewstep,
            or its ``envs/base.yaml``.
    """

    name: str
    run: type[RunConfig]
    implementation: str
    metrics: str
    bundled: Mapping[str, Path] = field(default_factory=dict[str, Path])
    published: Path | None = None
    made: tuple[str, str] = MADE
    check: Callable[[RunConfig], None] = lambda run: None
    environment: Path | None = None

    def conda_file(self, environments: Path) -> Path:
        """Return the conda file that its jobs run in; ``environments`` holds fewstep's own."""
        own = environments / f"{self.name}.yaml"
        return self.environment or (own if own.exists() else environments / "base.yaml")

    def load_metrics(self) -> Mapping[str, Any]:
        """Return the texts of its measures; the packages it computes with need not be there."""
        return load(self.metrics)


def load(place: str) -> Any:
    """Import what "module:name" says."""
    module, _, name = place.partition(":")
    return getattr(import_module(module), name)


@cache
def _others() -> dict[str, str]:
    """Return the places (module:object) of other packages' field settings, by name."""
    return {entry.name: entry.value for entry in entry_points(group=GROUP)}


def field_names() -> tuple[str, ...]:
    """Return the names of all fields, those of other packages last."""
    return (*OWN_FIELDS, *(name for name in _others() if name not in OWN_FIELDS))


@cache
def field_settings(name: str) -> FieldSettings:
    """Return the description of a field.

    Raises:
        FewstepError: There is no such field, or its package is broken.
    """
    if name in OWN_FIELDS:
        return load(f"{OWN_FIELDS[name]}:SETTINGS")
    if name not in _others():
        raise FewstepError("unknown field", expected=" or ".join(field_names()), got=repr(name))
    settings = load(_others()[name])
    if not isinstance(settings, FieldSettings) or settings.name != name:
        raise FewstepError(
            f"the entry point {name!r} of {GROUP}",
            expected=f"a FieldSettings called {name!r}",
            got=f"{_others()[name]}, {getattr(settings, 'name', type(settings).__name__)!r}",
        )
    return settings


def bundled_models() -> dict[str, Path]:
    """Return the directories of all models that come with fields, by name."""
    every = (field_settings(name).bundled for name in field_names())
    return {name: path for bundled in every for name, path in bundled.items()}


def located(source: str) -> Path:
    """Find a checkpoint, a model directory or a bundled model.

    Raises:
        FewstepError: It is nowhere.
    """
    bundled = bundled_models()
    path = bundled.get(source, Path(source))
    if not path.exists():
        raise FewstepError(
            f"there is no checkpoint {source}",
            expected=f"a file, a model directory, or one of {', '.join(bundled)}",
        )
    return path
