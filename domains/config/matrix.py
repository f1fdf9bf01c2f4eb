"""Objectives × domains × steps × seeds, trained on equal budgets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field, model_validator

from domains.config.fields import field_names
from domains.config.sections import SampleSet
from domains.settings import MOST_SEED, MOST_SETS, Config, Name, is_mapping

__all__ = ["MatrixConfig", "MatrixDomain", "Variation", "is_matrix", "merged"]

Steps = tuple[Annotated[int, Field(ge=1, le=400)], ...]
Seeds = tuple[Annotated[int, Field(ge=0, le=MOST_SEED)], ...]


class MatrixDomain(Config):
    """A field's half of a matrix: its teacher, and what its students have in common."""

    teacher: str = Field(min_length=1)
    """Checkpoint file, model directory or bundled name."""
    data: dict[str, Any] = Field(default_factory=dict)
    """Keys of the field's data; none: what it brings along."""
    network_calls: int = Field(ge=1, le=1_000_000_000_000)
    """Of one training, at a `budget` of 1; see `fit.network_calls`."""
    steps: Steps = ()
    """Steps of roll-outs and sampling; none: the matrix's."""
    main_steps: int | None = Field(default=None, ge=1)
    """Steps at which hyper-parameters are varied and objectives ranked; none: the most."""
    noise_scale: float = Field(ge=0)
    """Noise scale γ of the sampling and of validation; that of the roll-outs, if those are
    deterministic."""
    student: dict[str, Any] = Field(default_factory=dict)
    """Keys of `Distil` that all its students share."""
    changes: dict[Name, dict[str, Any]] = Field(default_factory=dict)
    """Keys of `Distil` by objective: what this field needs otherwise."""
    sets: dict[Name, SampleSet] = Field(default_factory=dict)
    """Sets to compare with; the teacher, re-noised with each number of steps, joins them."""
    tuned: int = Field(default=0, ge=0, le=10_000)
    """Schedules that are tried for the teacher with each number of steps (see `Tuned`): what the
    best of them makes joins the sets. 0: no search."""
    generate: dict[str, Any]
    """Keys of the field's `generate`."""
    evaluate: dict[str, Any] = Field(default_factory=dict)
    """Keys of the field's `evaluate`."""
    measures: tuple[Name, ...] = ()
    """Measures that are shown, the most important first; none: all that have a direction."""


class Variation(Config):
    """An objective with another value of a hyper-parameter: one seed, one number of steps."""

    objective: Name
    """Which of `objectives`."""
    changes: dict[str, Any]
    """Keys of `Distil` that differ."""
    domains: tuple[str, ...] = ()
    """In which fields; none: in all."""


class MatrixConfig(Config):
    """Students by every objective in every field, on equal budgets, and their comparison."""

    name: Name
    """The comparison is written to `results/<name>`, a field's run to `results/<name>_<domain>`."""
    title: str = ""
    """Title of the comparison; the matrix's name if empty."""
    notes: str = ""
    """Text of the comparison; blank lines part paragraphs."""
    budget: float = Field(default=1.0, gt=0, le=1_000_000)
    """Factor of every training's network calls: 0.1 is a trial."""
    seeds: Seeds = Field(default=(0,), min_length=1)
    """Seeds of the trainings, each of which has draws of its own; samples share their noise."""
    steps: Steps = Field(default=(1, 4, 8), min_length=1)
    """Steps of roll-outs and sampling: a student is sampled as it was trained."""
    domains: dict[str, MatrixDomain] = Field(min_length=1)
    """Fields by name."""
    objectives: dict[Name, dict[str, Any]] = Field(min_length=1)
    """Keys of `Distil` by label, `objective` first of all."""
    sensitivity: dict[Name, Variation] | None = None
    """Hyper-parameters to vary, by label."""

    @model_validator(mode="after")
    def _known_fields(self) -> MatrixConfig:
        named = [*self.domains, *(name for one in self.variations.values() for name in one.domains)]
        for name in named:
            if name not in field_names():
                raise ValueError(f"domains: {name!r} is no field: {', '.join(field_names())}")
        return self

    @model_validator(mode="after")
    def _known_objectives(self) -> MatrixConfig:
        places = {f"domains.{k}.changes": one.changes for k, one in self.domains.items()}
        named = [(where, name) for where, changes in places.items() for name in changes]
        named += [(f"sensitivity.{k}", one.objective) for k, one in self.variations.items()]
        for where, name in named:
            if name not in self.objectives:
                raise ValueError(f"{where}: {name!r} is none of {sorted(self.objectives)}")
        return self

    @model_validator(mode="after")
    def _each_cell_once(self) -> MatrixConfig:
        if both := set(self.objectives) & set(self.variations):
            raise ValueError(f"sensitivity.{min(both)}: an objective has this name")
        lists = {"seeds": self.seeds, "steps": self.steps}
        lists |= {f"domains.{name}.steps": one.steps for name, one in self.domains.items()}
        for key, values in lists.items():
            if len(set(values)) != len(values):
                raise ValueError(f"{key}: a value is given twice")
        for name in self.domains:
            count = len(self.objectives) * len(self.steps_of(name)) * len(self.seeds)
            if count + len(self.variations) > MOST_SETS:
                raise ValueError(f"domains.{name}: {count} cells; at most {MOST_SETS} can be made")
            if self.main_steps(name) not in self.steps_of(name):
                raise ValueError(f"domains.{name}.main_steps: not one of its steps")
        return self

    @property
    def variations(self) -> dict[str, Variation]:
        """Return the hyper-parameters to vary."""
        return self.sensitivity or {}

    def steps_of(self, domain: str) -> tuple[int, ...]:
        """Return the numbers of steps of a field."""
        return self.domains[domain].steps or self.steps

    def main_steps(self, domain: str) -> int:
        """Return the number of steps at which a field's objectives are ranked."""
        return self.domains[domain].main_steps or max(self.steps_of(domain))

    def network_calls(self, domain: str) -> int:
        """Return the network calls of one training in a field."""
        return max(1, round(self.domains[domain].network_calls * self.budget))


def is_matrix(content: Any) -> bool:
    """Return whether settings, as read from YAML, are those of a matrix and not of a run."""
    return is_mapping(content) and "domains" in content


def merged(base: Mapping[str, Any], *changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``base`` with changes merged into it at every depth, the last one winning."""
    result = dict(base)
    for change in changes:
        for key, value in change.items():
            inner = result.get(key)
            if is_mapping(value) and is_mapping(inner):
                result[key] = merged(inner, value)
            else:
                result[key] = value
    return result
