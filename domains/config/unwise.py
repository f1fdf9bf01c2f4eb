"""Settings that work and are unwise: one line each, said when a run starts."""

from __future__ import annotations

import math

from domains.config.as_trained import trained_roll_out
from domains.config.run import RunConfig
from domains.config.sections import SHARD_POINTS, UNMODELLED
from domains.distillation.sampling.roll_out import RollOutConfig
from domains.distillation.sampling.settings import Renoise

__all__ = ["advice"]


def advice(run: RunConfig) -> list[str]:
    """Return a line for each setting that works, but not as its writer will have meant it.

    These are sets and validations that sample a student not as it was trained, teachers that are
    shaped and never asked, and shards that are over as soon as they have started.
    """
    lines = [
        f"students.{name}.validation_noise_scale: {student.validation_noise_scale}, but it is"
        f" trained with {student.roll_out.noise_scale} (a flow map starts from all of its noise)"
        for name, student in run.students.items()
        if student.roll_out.is_deterministic
        and student.validation_noise_scale != student.roll_out.noise_scale
    ]
    for name, student in run.students.items():
        if not student.objective.asks_teacher:
            lines += [
                f"students.{name}.{key}: unused, as {student.objective.kind} asks no teacher"
                for key in sorted(student.model_fields_set & _OF_THE_TEACHER)
            ]
    for name, sample_set in run.sets.items():
        trained, sampler = _roll_out(run, sample_set.model), sample_set.sampler
        if trained is not None and isinstance(sampler, Renoise):
            lines += [
                f"sets.{name}.sampler.{key}: {got}, but {sample_set.model} was trained with {was}"
                f" ({why})"
                for key, got, was, why in _departures(trained, sampler)
            ]
    return lines + _short_shards(run)


# Keys of `Distil` that shape the teacher's answer.
_OF_THE_TEACHER = {
    *("teacher_noise_scale", "teacher_rescale", "teacher_asked_twice"),
    *("teacher_guidance", "teacher_autoguidance", "experts"),
}
# Points times network calls that take a core a minute (bundled student), or as long as 20 starts.
_MINUTE = SHARD_POINTS // 2
_MANY = 10  # shards of which the starts can be felt


def _short_shards(run: RunConfig) -> list[str]:
    """Return a line if many jobs sample for less than a minute each, as far as that is known."""
    plan = run.generate
    if plan.shard_size is None:
        return []
    points = sum(plan.size(k) for k in range(min(plan.count, plan.shard_size)))
    made = [one.sampler.steps for one in run.sets.values() if one.model not in UNMODELLED]
    if plan.shards < _MANY or not points or not made or points * min(made) >= _MINUTE:
        return []
    enough = math.ceil(plan.shard_size * _MINUTE / (points * min(made)))
    return [
        f"generate.shard_size: {plan.shard_size}, of which {plan.shards} jobs a set come that"
        f" sample for less than a minute, beside some 3 s to start; {enough} would do, and none is"
        " chosen by the set (another size samples what is there anew)"
    ]


def _roll_out(run: RunConfig, model: str) -> RollOutConfig | None:
    """Return how a student was sampled in training, as its settings or its file say; else None."""
    if model in run.students:
        return run.students[model].roll_out
    return trained_roll_out(run.models[model]) if model in run.models else None


def _departures(trained: RollOutConfig, sampler: Renoise) -> list[tuple[str, object, object, str]]:
    """Return (key, as sampled, as trained, what comes of it) where the two are at odds."""
    flow_map = trained.is_deterministic
    found: list[tuple[str, object, object, str]] = []
    if sampler.is_deterministic != flow_map:
        lost = "with fresh noise" if flow_map else "without fresh noise"
        found.append(
            ("eta", sampler.eta, trained.eta, f"{lost} its steps meet points it never saw")
        )
    if sampler.self_conditioning != trained.self_conditioning:
        why = "it answers otherwise when told its last estimate"
        told = sampler.self_conditioning, trained.self_conditioning
        found.append(("self_conditioning", *told, why))
    if not flow_map or not sampler.is_deterministic:
        return found
    if sampler.noise_scale != trained.noise_scale:
        scales = sampler.noise_scale, trained.noise_scale
        found.append(("noise_scale", *scales, "a flow map starts from all of its noise"))
    if (sampler.steps, sampler.times) != (trained.steps, trained.times):
        why = "each step of a flow map goes to the next of its own times"
        if sampler.steps != trained.steps:
            found.append(("steps", sampler.steps, trained.steps, why))
        else:
            found.append(("times", sampler.times or "the usual", trained.times or "the usual", why))
    return found
