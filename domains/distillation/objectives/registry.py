"""The registry of objectives: one per file of this folder, and those of other packages.

A package adds its own by an entry point of the group ``fewstep.objectives``, which names a module
with a subclass of ``Objective``. What is found here decides what ``objective.kind`` may be, what
the documentation and the JSON schema list, and what is built.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from pkgutil import iter_modules
from types import ModuleType
from typing import Annotated, Any, Union, cast, get_args

from pydantic import Field

from domains.distillation.objectives.objective import Objective, ObjectiveConfig, Resources
from domains.errors import FewstepError

__all__ = [
    "GROUP",
    "build_objective",
    "objectives",
    "settings_by_kind",
    "settings_of",
    "settings_union",
]

GROUP = "fewstep.objectives"


@cache
def objectives() -> dict[str, type[Objective[Any]]]:
    """Return every objective by its kind, those of other packages last.

    Raises:
        FewstepError: Two have the same kind.
    """
    by_kind: dict[str, type[Objective[Any]]] = {}
    for module in _modules():
        for one in _defined(module):
            kind = _kind(settings_of(one))
            if kind in by_kind:
                where = [cls.__module__ for cls in (by_kind[kind], one)]
                raise FewstepError(f"two objectives are of kind {kind!r}", got=" and ".join(where))
            by_kind[kind] = one
    return by_kind


def settings_by_kind() -> dict[str, type[ObjectiveConfig]]:
    """Return the settings of every objective by its kind."""
    return {kind: settings_of(one) for kind, one in objectives().items()}


def settings_union() -> Any:
    """Build the type of ``objective`` in a student's settings: ``kind`` says which."""
    return Annotated[Union[tuple(settings_by_kind().values())], Field(discriminator="kind")]  # noqa: UP007


def build_objective(settings: ObjectiveConfig, resources: Resources) -> Objective[Any]:
    """Build the objective that the settings describe.

    Raises:
        FewstepError: There is no objective of this kind, or the field lacks what it needs.
    """
    known = objectives()
    if settings.kind not in known:
        raise FewstepError("unknown objective", expected=", ".join(known), got=settings.kind)
    return known[settings.kind].build(settings, resources)


def _modules() -> Iterator[ModuleType]:
    package = __name__.rpartition(".")[0]
    for info in iter_modules(import_module(package).__path__):
        if info.name != "registry":
            yield import_module(f"{package}.{info.name}")
    for entry in entry_points(group=GROUP):
        yield import_module(entry.module)


def _defined(module: ModuleType) -> Iterator[type[Objective[Any]]]:
    """Yield the objectives that a module defines and that settings can choose."""
    for one in vars(module).values():
        own = inspect.isclass(one) and one.__module__ == module.__name__
        if own and issubclass(one, Objective):
            objective = cast(type[Objective[Any]], one)
            if _kind(settings_of(objective)):
                yield objective


def settings_of(objective: type[Objective[Any]]) -> type[ObjectiveConfig]:
    """Return the type in the brackets of ``Objective[...]``."""
    for base in getattr(objective, "__orig_bases__", ()):
        for argument in get_args(base):
            if inspect.isclass(argument) and issubclass(argument, ObjectiveConfig):
                return argument
    return ObjectiveConfig


def _kind(settings: type[ObjectiveConfig]) -> str:
    """Return the kind that settings are of; empty for those of no objective in particular."""
    default = settings.model_fields["kind"].default
    return default if isinstance(default, str) else ""
