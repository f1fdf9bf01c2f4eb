"""Is the student as good as its teacher, and how much faster?"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, get_args

import numpy as np
import pandas as pd

from domains.evaluation.report.axis import format_number
from domains.evaluation.statistics.difference import Comparison, Verdict, compare
from domains.evaluation.statistics.measured import COSTS
from domains.evaluation.statistics.multiplicity import corrected
from domains.evaluation.statistics.sets import GENERATED, TIDY, EvaluationSet, Metric, of_role

__all__ = [
    "best_set",
    "cautions",
    "headline",
    "primary_metric",
    "student_rows",
    "verdicts",
]

_FEWER = 0.95  # of the measured samples, a metric is of: fewer are told


def primary_metric(sets: Sequence[EvaluationSet], metrics: Mapping[str, Metric]) -> str | None:
    """Return the first directed metric of teacher and student that tells sets apart.

    One that is the same in all of them, such as a pass rate of 0, says nothing: agreement on
    it is no merit. It is left out here, and named in ``cautions``. So are costs left out.
    """
    compared = of_role(sets, "teacher", "student")
    named = {name for one in compared for name in one.metrics["metric"]}
    named -= set(COSTS)
    directed = [key for key, metric in metrics.items() if metric.better != "none" and key in named]
    telling = [key for key in directed if not _mute(compared, key)]
    return next(iter(telling or directed), None)


def _mute(sets: Sequence[EvaluationSet], key: str) -> bool:
    """Return whether several sets have one value that all of their samples have.

    That is one without any spread, or a share of none or of all.
    """
    estimates = [one.estimate(key) for one in sets]
    values = {value for value, _, _ in estimates}
    flat = all(len(set(estimate)) == 1 for estimate in estimates)
    return len(sets) > 1 and len(values) == 1 and (flat or values <= {0.0, 1.0})


def best_set(
    sets: Sequence[EvaluationSet], key: str | None, metrics: Mapping[str, Metric]
) -> EvaluationSet | None:
    """Return the set that is best on ``key``; ties and n/a go to fewer steps."""
    sign = -1.0 if key and metrics[key].better == "higher" else 1.0

    def rank(one: EvaluationSet) -> tuple[float, float]:
        value = sign * one.estimate(key)[0] if key else math.nan
        return (
            value if math.isfinite(value) else math.inf,
            -one.number("steps") if one.role == "teacher" else one.number("steps"),
        )

    return min(sets, key=rank, default=None)


def _speed(student: EvaluationSet, teacher: EvaluationSet) -> float:
    fast, slow = student.number("seconds_per_sample"), teacher.number("seconds_per_sample")
    return slow / fast if fast > 0 else math.nan


def _speed_phrase(student: EvaluationSet, teacher: EvaluationSet) -> str:
    ratio = _speed(student, teacher)
    if not math.isfinite(ratio) or ratio <= 0:
        return "its speed-up is n/a"
    if 0.95 < ratio < 1.05:
        return "is as fast"
    word = "faster" if ratio > 1 else "slower"
    return f"is {format_number(max(ratio, 1 / ratio))} times {word}"


def headline(sets: Sequence[EvaluationSet], metrics: Mapping[str, Metric]) -> str:
    """Return one sentence: is the student as good as its teacher, and how much faster.

    Judges the first metric of ``metrics`` that has a direction and tells sets apart, for the
    student setting that is best on it, against the teacher setting that is best on it.
    """
    key = primary_metric(sets, metrics)
    student = best_set(of_role(sets, "student"), key, metrics)
    teacher = best_set(of_role(sets, "teacher"), key, metrics)
    if student is None or teacher is None:
        own = " with its own sampler" if of_role(sets, "teacher_naive") else ""
        wanted = (("student", student), (f"teacher{own}", teacher))
        absent = " and no ".join(name for name, one in wanted if one is None)
        return f"No {absent} was evaluated, so there is nothing to compare."
    name = f"The {format_number(student.facts.get('steps'))}-step student"
    speed = _speed_phrase(student, teacher)
    if key is None:
        return (
            f"{name} {speed}; its quality isn't judged, as no metric has a direction."
            if not speed.startswith("its")
            else f"{name}: quality and speed-up are n/a."
        )
    values = student.estimate(key), teacher.estimate(key)
    found = verdicts(of_role(sets, "student"), teacher, metrics, key)[id(student)]
    phrase = {
        "equal": "equals its teacher on",
        "better": "is better than its teacher on",
        "worse": "is worse than its teacher on",
        "same": "can't be told apart from its teacher on",
        "n/a": "can't be compared with its teacher on",
    }[found[key].verdict]
    numbers = f"({format_number(values[0][0])} against {format_number(values[1][0])})"
    slower = "slower" in speed or speed.startswith("its")
    joint = "but" if (found[key].verdict in ("worse", "n/a")) != slower else "and"
    equal = [metrics[k].label for k in found if k != key and found[k].verdict == "equal"]
    alike = f", equals it on {', '.join(equal)}" if equal else ""
    if found[key].verdict == "same" and metrics[key].same_within:
        count = format_number(min(student.number("n"), teacher.number("n")))
        known = [f"equals it on {', '.join(equal)}"] if equal else []
        known += [] if speed.startswith("its") else [speed]
        return (
            f"{count} samples are too few to tell the {name[4:]} from its teacher on"
            f" {metrics[key].label} {numbers}; it {' and '.join(known) or 'has no known speed-up'}."
        )
    return f"{name} {phrase} {metrics[key].label} {numbers}{alike}, {joint} {speed}."


def verdicts(
    students: Sequence[EvaluationSet],
    teacher: EvaluationSet,
    metrics: Mapping[str, Metric],
    key: str | None,
) -> dict[int, dict[str, Comparison]]:
    """Compare students with a teacher on all metrics that can say something.

    Verdicts are corrected for their number (Holm): those on the metric ``key`` for the number of
    students, because the best of them is reported, and all others together.

    Returns:
        By the ``id`` of the set, then by metric.
    """
    asked = {k: m for k, m in metrics.items() if m.better != "none" or m.same_within}
    found = {
        (id(one), name): (compare(one, teacher, name, metric), metric)
        for one in students
        for name, metric in asked.items()
        # A metric that only one of the two has is n/a, not left out.
        if any(name in set(a_set.metrics["metric"]) for a_set in (one, teacher))
    }
    first = corrected({place: pair for place, pair in found.items() if place[1] == key})
    others = corrected({place: pair for place, pair in found.items() if place[1] != key})
    table: dict[int, dict[str, Comparison]] = {id(one): {} for one in students}
    for one, name in found:
        table[one][name] = {**first, **others}[one, name]
    return table


def student_rows(
    sets: Sequence[EvaluationSet], metrics: Mapping[str, Metric]
) -> list[dict[str, Any]]:
    """Compare each student with the best teacher, one row per student."""
    key = primary_metric(sets, metrics)
    teacher = best_set(of_role(sets, "teacher"), key, metrics)
    best = best_set(of_role(sets, "student"), key, metrics)
    if teacher is None:
        return []
    rows, students = [], of_role(sets, "student")
    table = verdicts(students, teacher, metrics, key)
    for student in students:
        found = table[id(student)]
        counts: dict[str, list[str]] = {v: [] for v in get_args(Verdict)}
        for name, one in found.items():
            if metrics[name].better != "none":
                counts[one.verdict].append(metrics[name].label)
        rows.append(
            {
                "set": student,
                "chosen": student is best,
                "counts": counts,
                "speed": _speed(student, teacher),
                "primary": found.get(key) if key else None,
            }
        )
    return rows


def _incomplete(one: EvaluationSet, metrics: Mapping[str, Metric]) -> list[str]:
    """List notes on the samples of a set that were not measured."""
    measured, made, skipped = (one.number(fact) for fact in ("n", "made", "skipped"))
    notes = []
    if made > measured:
        drawn, of = format_number(measured), format_number(made)
        notes.append(f"{one.label}: {drawn} of {of} samples, drawn at random, were measured.")
    fewer: dict[int, list[str]] = {}
    for name, count in zip(one.metrics["metric"], one.metrics["n"], strict=True):
        if str(name) in metrics and count < _FEWER * measured:
            fewer.setdefault(int(count), []).append(metrics[str(name)].label)
    for count, labels in fewer.items():
        notes.append(f"{one.label}: of {format_number(count)} samples: {', '.join(labels)}.")
    if skipped > 0:
        many = format_number(skipped)
        notes.append(f"{one.label}: {many} could not be made; samples/{one.path.name}/skipped.csv.")
    return notes


def cautions(sets: Sequence[EvaluationSet], metrics: Mapping[str, Metric]) -> list[str]:
    """List the caveats of the headline: metrics that rank nothing, unequal sets, single seeds."""
    notes = []
    compared = of_role(sets, "teacher", "student")
    for name, metric in metrics.items():
        if metric.better != "none" and _mute(compared, name):
            value = format_number(compared[0].estimate(name)[0])
            notes.append(
                f"{metric.label} is {value} for every sample of teacher and students: "
                "it can't rank them, and the headline doesn't use it."
            )
    shown = of_role(sets, *GENERATED)
    notes += [note for one in shown for note in _incomplete(one, metrics)]
    sizes = {one.number("n") for one in shown}
    if len(sizes) > 1:
        notes.append(
            "The sets differ in size (n = "
            + ", ".join(format_number(n) for n in sorted(sizes))
            + ")."
        )
    for name, metric in metrics.items():
        rows = pd.concat(
            [one.metrics.loc[one.metrics["metric"] == name] for one in shown]
            or [pd.DataFrame(columns=TIDY)]
        )
        tools = sorted({str(tool) for tool in rows["tool"]})
        if len(tools) > 1:
            notes.append(
                f"{metric.label} was not computed with one tool in all sets: "
                + ", ".join(tools)
                + "."
            )
    for one in shown:
        bad = one.metrics.loc[~np.isfinite(one.metrics["value"]), "metric"]
        if len(bad):
            notes.append(f"{one.label}: n/a for " + ", ".join(map(str, bad)) + ".")
    if any(len(one.facts.get("seeds") or []) < 2 for one in of_role(sets, "student", "teacher")):
        notes.append(
            "Some sets use a single seed: intervals cover the choice of samples, "
            "not another training run."
        )
    return notes
