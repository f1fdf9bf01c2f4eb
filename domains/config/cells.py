"""A matrix written out: its cells, and one run for each of its fields."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, get_args

from pydantic import ValidationError

from domains.config.explain import explained
from domains.config.fields import field_names, field_settings
from domains.config.matrix import MatrixConfig, MatrixDomain, merged
from domains.config.run import RunConfig
from domains.config.sections import Sampler, SampleSet
from domains.config.training import Distil
from domains.distillation.sampling.roll_out import RollOutConfig
from domains.distillation.sampling.settings import Renoise
from domains.distillation.sampling.tuned import Tuned
from domains.errors import FewstepError
from domains.files.yaml_file import read_yaml

__all__ = ["Cell", "cells", "load_matrix", "parse_matrix", "runs", "untrained"]


@dataclass(frozen=True)
class Cell:
    """One training and what it is compared by.

    Attributes:
        domain: Its field.
        objective: Label of its objective.
        variation: Label of the hyper-parameter that is varied; empty for the matrix proper.
        steps: Of the roll-outs and the sampling.
        seed: Of the training.
        student: Its settings; None if there can be none.
        obstacle: The setting that keeps it from being trained; empty if none does.
    """

    domain: str
    objective: str
    variation: str
    steps: int
    seed: int
    student: Distil | None
    obstacle: str = ""

    @property
    def name(self) -> str:
        """Return the name of its student and of its set of samples."""
        return f"{self.variation or self.objective}_k{self.steps}_s{self.seed}"

    @property
    def label(self) -> str:
        """Return the label on the page: objective or variation, steps, seed."""
        of = self.variation or self.objective
        return f"{of}, {self.steps} step{'s' * (self.steps > 1)}, seed {self.seed}"


def cells(matrix: MatrixConfig, domain: str) -> list[Cell]:
    """Return all cells of a field, those that can't be trained too.

    Raises:
        FewstepError: The settings of a cell are no student's.
    """
    steps, seeds = matrix.steps_of(domain), matrix.seeds
    found = [_cell(matrix, domain, *key) for key in product(matrix.objectives, steps, seeds)]
    for label, one in matrix.variations.items():
        if not one.domains or domain in one.domains:
            key = one.objective, matrix.main_steps(domain), seeds[0]
            found.append(_cell(matrix, domain, *key, label, one.changes))
    return found


def _cell(
    matrix: MatrixConfig,
    domain: str,
    objective: str,
    steps: int,
    seed: int,
    variation: str = "",
    varied: Mapping[str, Any] | None = None,
) -> Cell:
    field = matrix.domains[domain]
    own, changes = matrix.objectives[objective], field.changes.get(objective, {})
    fixed = {"seed": seed, "roll_out": {"steps": steps}}
    fixed["fit"] = {"network_calls": matrix.network_calls(domain)}
    given = merged(field.student, own, changes, varied or {}, fixed)
    where = f"sensitivity.{variation}" if variation else f"objectives.{objective}"
    key = domain, objective, variation, steps, seed
    settings = _student_settings(domain)
    try:
        student = settings.model_validate(given)
    except ValidationError as error:
        if reason := _setting_of_others(domain, error):
            return Cell(*key, None, reason)
        if error.errors()[0]["loc"]:
            raise explained(error, f"{where}, as {domain} has it", settings) from error
        # What the settings are is fine, but not together: such as more phases than steps.
        return Cell(*key, None, error.errors()[0]["msg"].removeprefix("Value error, "))
    scale = _noise_scale(field.noise_scale, student)
    student = student.model_copy(update={"validation_noise_scale": scale})
    return Cell(*key, student, _unfit(student) or field_settings(domain).run.obstacle(student))


def _setting_of_others(domain: str, error: ValidationError) -> str:
    """Explain an error whose key is of another field's students; else return nothing."""
    first = error.errors()[0]
    if first["type"] != "extra_forbidden" or len(first["loc"]) != 1:
        return ""
    key = str(first["loc"][0])
    others = [one for one in field_names() if key in _student_settings(one).model_fields]
    return f"{key}: the {domain} field has none, only {', '.join(others)}" if others else ""


def _student_settings(domain: str) -> type[Distil]:
    """Return the class of a field's students."""
    students = field_settings(domain).run.model_fields["students"].annotation
    return get_args(students)[1]


def _unfit(student: Distil) -> str:
    """Return why a student is none of a matrix."""
    if student.objective.kind == "diffusion_dpo":
        return "it aligns a teacher: what comes out takes as many steps as its teacher"
    return ""


def _noise_scale(usual: float, student: Distil) -> float:
    """Return γ of the sampling: a trajectory's only noise is that of the roll-out."""
    return student.roll_out.noise_scale if student.roll_out.is_deterministic else usual


def runs(matrix: MatrixConfig) -> dict[str, RunConfig]:
    """Return the run of each field, by its name: all cells that can be trained.

    Raises:
        FewstepError: The settings of a cell, or of a run, can't be.
    """
    return {domain: _run(matrix, domain) for domain in matrix.domains}


def _run(matrix: MatrixConfig, domain: str) -> RunConfig:
    field = matrix.domains[domain]
    trained = {c: c.student for c in cells(matrix, domain) if c.student and not c.obstacle}
    free = {name: one for name, (_, one) in untrained(matrix, domain).items()}
    sets = {**field.sets, **free}
    for cell, student in trained.items():
        if cell.name in sets:
            raise FewstepError(f"domains.{domain}.sets: a cell is called {cell.name!r}, too")
        sampler = student.roll_out.sampler(student.validation_noise_scale)
        sets[cell.name] = SampleSet(model=cell.name, sampler=sampler, label=cell.label)
    given = {
        "name": f"{matrix.name}_{domain}",
        "domain": domain,
        "teacher": field.teacher,
        "data": field.data,
        "students": {cell.name: student for cell, student in trained.items()},
        "generate": field.generate,
        "sets": sets,
        "evaluate": field.evaluate,
        "title": f"{matrix.title or matrix.name}: {domain}",
    }
    settings = field_settings(domain).run
    try:
        return settings.model_validate(given)
    except ValidationError as error:
        raise explained(error, f"domains.{domain}", settings) from error


def untrained(matrix: MatrixConfig, domain: str) -> dict[str, tuple[str, SampleSet]]:
    """Return the teacher with each number of steps, without training: line and set by name.

    It is sampled as the students are, where they have their roll-outs in common, and with the best
    of many schedules, judged by as many samples as the students' checkpoints.
    """
    field = matrix.domains[domain]
    found: dict[str, tuple[str, SampleSet]] = {}
    for steps in matrix.steps_of(domain):
        plain = _teacher_sampler(field, domain, steps)
        lines: list[tuple[str, str, Sampler]] = [("teacher", "teacher re-noised", plain)]
        if field.tuned:
            count = field.student.get("validation_samples", Tuned(kind="tuned").samples)
            searched = Tuned(kind="tuned", steps=steps, trials=field.tuned, samples=count)
            lines.append(("tuned", "teacher, tuned schedule", searched))
        for name, line, sampler in lines:
            label = f"{line.capitalize()}, {steps} step{'s' * (steps > 1)}"
            sample_set = SampleSet(model="teacher", sampler=sampler, label=label)
            found[f"{name}_k{steps}"] = line, sample_set
    return found


def _teacher_sampler(field: MatrixDomain, domain: str, steps: int) -> Renoise:
    """Return the sampler of the roll-outs that a field's students have in common."""
    shared = field.student.get("roll_out", {})
    try:
        roll_out = RollOutConfig.model_validate({**shared, "steps": steps})
    except ValidationError as error:
        where = f"domains.{domain}.student.roll_out"
        raise explained(error, where, RollOutConfig) from error
    scale = roll_out.noise_scale if roll_out.is_deterministic else field.noise_scale
    return roll_out.sampler(scale)


def load_matrix(path: Path) -> MatrixConfig:
    """Read and validate a matrix's YAML.

    Raises:
        FewstepError: The file is missing, no YAML, or says something that can't be.
    """
    return parse_matrix(read_yaml(path), str(path))


def parse_matrix(content: Any, source: str = "config") -> MatrixConfig:
    """Validate a matrix's settings as read from YAML, and the runs that it is written out as."""
    try:
        matrix = MatrixConfig.model_validate(content)
    except ValidationError as error:
        raise explained(error, source, MatrixConfig) from error
    runs(matrix)
    return matrix
