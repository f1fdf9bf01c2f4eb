"""The report's first words: what no model made and is better, the comparison, what was done."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from domains.config.fields import MADE
from domains.config.sections import FULL_TEACHER
from domains.evaluation.report.axis import format_number
from domains.evaluation.statistics.comparison import best_set, headline, primary_metric
from domains.evaluation.statistics.difference import compare
from domains.evaluation.statistics.measured import COSTS
from domains.evaluation.statistics.sets import GENERATED, EvaluationSet, Metric, of_role

__all__ = ["lead", "with_teacher"]


def lead(
    sets: Sequence[EvaluationSet],
    metrics: Mapping[str, Metric],
    known: Mapping[str, Metric] | None = None,
    made: tuple[str, str] = MADE,
) -> str:
    """Return what the report begins with.

    A set that no model made, such as scans that are not completed, is named first if the best
    student is no better. Where only costs were measured, the report begins with what was done.

    Args:
        sets: The sets that were evaluated.
        metrics: The metrics that occur in them, explained, the most important first.
        known: All metrics of the field; none if it explains none.
        made: How the field says that one sample, or several, were made.
    """
    generated = of_role(sets, *GENERATED)
    quality = {k for k, m in (known or {}).items() if m.better != "none" and k not in COSTS}
    named = {name for one in generated for name in one.metrics["metric"]}
    if generated and quality and not quality & named:
        return f"{_done(generated, made)}; no ground truth."
    said = [*_floor(sets, metrics), headline(sets, metrics)]
    if generated and not (of_role(sets, "student") and of_role(sets, "teacher")):
        said.insert(0, f"{_done(generated, made)}.")
    return " ".join(said)


def _floor(sets: Sequence[EvaluationSet], metrics: Mapping[str, Metric]) -> list[str]:
    """Return a sentence on the best set that no model made, unless what was made is better."""
    key = primary_metric(sets, metrics)
    floor = best_set(of_role(sets, "decoys"), key, metrics)
    best = [best_set(of_role(sets, role), key, metrics) for role in ("student", "teacher")]
    ours = next((one for one in best if one is not None), None)
    if key is None or floor is None or ours is None:
        return []
    verdict = compare(ours, floor, key, metrics[key]).verdict
    if verdict in ("better", "n/a"):
        return []
    word = "is better than" if verdict == "worse" else "can't be told apart from"
    steps = format_number(ours.facts.get("steps"))
    values = [format_number(one.estimate(key)[0]) for one in (floor, ours)]
    return [
        f"“{floor.label}”, which no model made, {word} the {steps}-step {ours.role} on"
        f" {metrics[key].label} ({values[0]} against {values[1]})."
    ]


def _done(sets: Sequence[EvaluationSet], made: tuple[str, str]) -> str:
    """Say how many samples were made, and how long each took."""
    counts = [one.number("made") for one in sets]
    counts = [n if n == n else one.number("n") for n, one in zip(counts, sets, strict=True)]
    said = f"{_range(counts)} {made[0] if set(counts) == {1.0} else made[1]}"
    if len(sets) > 1:
        said += f" by each of {len(sets)} sets"
    seconds = [one.number("seconds_per_sample") for one in sets]
    seconds = [value for value in seconds if math.isfinite(value)]
    return f"{said}, {_range(seconds)} s each" if seconds else said


def _range(values: Sequence[float]) -> str:
    low, high = format_number(min(values)), format_number(max(values))
    return low if low == high else f"{low} to {high}"


def with_teacher(sets: Sequence[EvaluationSet]) -> tuple[list[EvaluationSet], list[str]]:
    """Return the sets with a teacher to compare with, and what has to be said of it.

    Where none is the teacher with all of its steps, its own sampler (not the students' re-noising)
    of most steps stands in, if there is one.
    """
    few = of_role(sets, "teacher_naive") if not of_role(sets, "teacher") else []
    own = [one for one in few if one.facts.get("sampler") in FULL_TEACHER]
    if not own:
        return list(sets), []
    chosen = max(own, key=lambda one: one.number("steps"))
    full = ", ".join(f"{count} ({kind})" for kind, count in FULL_TEACHER.items())
    note = (
        f"The teacher was evaluated with fewer steps than its full number, {full}: students are"
        f" compared with {chosen.label}, of {format_number(chosen.facts.get('steps'))} steps."
    )
    teacher = replace(chosen, facts={**chosen.facts, "role": "teacher"})
    return [teacher if one is chosen else one for one in sets], [note]
