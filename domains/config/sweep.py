"""Students and sets of samples for every combination of a few settings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import Annotated, Any

from pydantic import Field

from domains.config.sections import SampleSet
from domains.config.training import Distil
from domains.distillation.sampling.roll_out import RollOutConfig
from domains.settings import MOST_SEED, MOST_SETS, Config, Name

__all__ = ["Sweep", "combined"]

_Scale = Annotated[float, Field(ge=0)]


class Sweep(Config):
    """Vary students and how they and the teacher are sampled: every combination is made.

    But a single step adds no fresh noise, so it is made once, with the first noise scale.
    """

    students: tuple[Name, ...] = ()
    """Sections of `students` to vary; their variants take their place."""
    steps: tuple[Annotated[int, Field(ge=1, le=400)], ...] = Field(min_length=1)
    """Steps of the roll-outs, and of the sampling of what was trained with them."""
    roll_out_noise_scales: tuple[_Scale, ...] = ()
    """Noise scales γ of the roll-outs; none: those of the sections."""
    seeds: tuple[Annotated[int, Field(ge=0, le=MOST_SEED)], ...] = ()
    """Seeds of the training; none: those of the sections."""
    noise_scales: tuple[_Scale, ...] = (0.45,)
    """Noise scales γ of the sampling."""
    teacher: bool = True
    """Also sample the teacher with these steps and noise scales: what costs no training."""


def combined(
    sweep: Sweep, students: Mapping[str, Distil], sets: Mapping[str, SampleSet]
) -> tuple[dict[str, Distil], dict[str, SampleSet]]:
    """Return the students and sets of a run, those of its sweep in the place of the sections.

    Raises:
        ValueError: A section is not there, or a name is made twice.
    """
    if (count := _count(sweep)) > MOST_SETS:
        raise ValueError(f"sweep: it makes {count} sets; at most {MOST_SETS} can be made")
    if unknown := set(sweep.students) - set(students):
        raise ValueError(f"sweep.students: {min(unknown)!r} is none of {sorted(students)}")
    made_students = {k: v for k, v in students.items() if k not in sweep.students}
    made_sets = dict(sets)
    if sweep.teacher:
        played = [RollOutConfig(steps=steps) for steps in sweep.steps]
        _join(made_sets, _sampled(sweep, "teacher", "Teacher", played))
    for section in sweep.students:
        if students[section].roll_out.times:
            raise ValueError(
                f"sweep.students: {section!r} has roll_out.times, of one count of steps"
            )
        for name, label, student in _variants(sweep, section, students[section]):
            _join(made_students, {name: student})
            _join(made_sets, _sampled(sweep, name, label, [student.roll_out]))
    return made_students, made_sets


def _count(sweep: Sweep) -> int:
    """Count the most sets that a sweep can make, without making them."""
    trained = len(sweep.students) * max(1, len(sweep.roll_out_noise_scales))
    trained *= max(1, len(sweep.seeds))
    return len(sweep.steps) * len(sweep.noise_scales) * (trained + sweep.teacher)


def _said(scale: float) -> str:
    """Return a scale in as few digits as tell it from every other."""
    short = f"{scale:g}"
    return short if float(short) == scale else repr(scale)


def _variants(sweep: Sweep, section: str, student: Distil) -> Iterator[tuple[str, str, Distil]]:
    """Yield name, label and settings of each student."""
    scales, seeds = sweep.roll_out_noise_scales or (None,), sweep.seeds or (None,)
    for steps, scale, seed in product(sweep.steps, scales, seeds):
        if steps == 1 and scale != scales[0]:
            continue  # a single call adds no fresh noise
        name, label, changes = f"{section}_k{steps}", section, dict[str, float](steps=steps)
        if scale is not None:
            said = _said(scale)
            name, label = f"{name}_r{said}", f"{label}, roll-outs of γ = {said}"
            changes["noise_scale"] = scale
        if seed is not None:
            name, label = f"{name}_s{seed}", f"{label}, seed {seed}"
        roll_out = student.roll_out.model_copy(update=changes)
        kept = student.seed if seed is None else seed
        yield name, label, student.model_copy(update={"roll_out": roll_out, "seed": kept})


def _sampled(
    sweep: Sweep, model: str, label: str, played: Sequence[RollOutConfig]
) -> dict[str, SampleSet]:
    found: dict[str, SampleSet] = {}
    for roll_out, scale in product(played, sweep.noise_scales):
        count = roll_out.steps
        if count == 1 and scale != sweep.noise_scales[0]:
            continue
        of = model if model != "teacher" else f"teacher_k{count}"
        said = f"{label}, {count} step{'s' * (count > 1)}, γ = {_said(scale)}"
        one = SampleSet(model=model, sampler=roll_out.sampler(scale), label=said)
        _join(found, {f"{of}_g{_said(scale)}": one})
    return found


def _join(into: dict[str, Any], more: Mapping[str, Any]) -> None:
    if twice := set(into) & set(more):
        raise ValueError(f"sweep: it makes {min(twice)!r}, which is there already")
    into.update(more)
