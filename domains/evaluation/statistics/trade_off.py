"""Pareto fronts of quality and cost, and the setting that a stated rule picks."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np

from domains.evaluation.report import figures
from domains.evaluation.report.axis import format_number
from domains.evaluation.report.figures import Series
from domains.evaluation.statistics.comparison import best_set, primary_metric
from domains.evaluation.statistics.difference import compare
from domains.evaluation.statistics.sets import GENERATED, EvaluationSet, Metric, of_role

__all__ = ["front", "recommendation", "trade_panels"]

_FEW = ("student", "teacher_naive")


def front(costs: Sequence[float], merits: Sequence[float]) -> list[int]:
    """Return the points that none beats in both: lower cost, higher merit; by rising cost."""
    known = [k for k in range(len(costs)) if math.isfinite(costs[k]) and math.isfinite(merits[k])]
    kept, best = [], -math.inf
    for k in sorted(known, key=lambda k: (costs[k], -merits[k])):
        if merits[k] > best:
            kept.append(k)
            best = merits[k]
    return kept


def trade_panels(
    sets: Sequence[EvaluationSet], styles: Mapping[int, str], metrics: Mapping[str, Metric]
) -> list[dict[str, Any]]:
    """Return quality against seconds, and against each metric of diversity, with its front."""
    key = primary_metric(sets, metrics)
    if key is None:
        return []
    shown = [(one, styles[k]) for k, one in enumerate(sets) if one.role in GENERATED]
    seconds = [one.number("seconds_per_sample") for one, _ in shown]
    panels = [_panel(shown, seconds, "seconds a sample", "log10", True, metrics[key], key)]
    for name, metric in metrics.items():
        if metric.diversity and any(name in set(one.metrics["metric"]) for one, _ in shown):
            values = [one.estimate(name)[0] for one, _ in shown]
            low_is_good, label = metric.better == "lower", metric.label
            panels.append(_panel(shown, values, label, "linear", low_is_good, metrics[key], key))
    return [panel for panel in panels if panel]


def _panel(
    shown: Sequence[tuple[EvaluationSet, str]],
    places: Sequence[float],
    label: str,
    scale: Literal["linear", "log10"],
    low_is_good: bool,
    metric: Metric,
    key: str,
) -> dict[str, Any] | None:
    estimates = np.array([one.estimate(key) for one, _ in shown]).reshape(-1, 3)
    known = [k for k in range(len(shown)) if math.isfinite(places[k] + estimates[k, 0])]
    known = [k for k in known if scale == "linear" or places[k] > 0]
    if len(known) < 2:
        return None
    merit = estimates[known, 0] * (1 if metric.better == "higher" else -1)
    cost = np.array([places[k] for k in known]) * (1 if low_is_good else -1)
    best = [known[k] for k in front(list(cost), list(merit))]
    line = Series("Front", "c-front d1", [places[k] for k in best], estimates[best, 0], dots=False)
    dots = [
        Series(shown[k][0].label, shown[k][1], [places[k]], *estimates[k][:, None]) for k in known
    ]
    svg = figures.line_panel(
        [line, *dots],
        x_label=label,
        y_label=metric.label,
        x_scale=scale,
        describe=f"{metric.label} against {label}, with the Pareto front",
    )
    return {"metric": metric, "against": label, "svg": svg, "front": [shown[k][0] for k in best]}


def recommendation(sets: Sequence[EvaluationSet], metrics: Mapping[str, Metric]) -> str:
    """Return one or two sentences: which few-step setting to take.

    The rule: of the few-step settings that the first directed metric can't tell from the best
    full teacher (95 % interval of the difference), or finds better, the fastest; if there is
    none, the one that is best on it. Where it is worse on other metrics is said.
    """
    key = primary_metric(sets, metrics)
    teacher = best_set(of_role(sets, "teacher"), key, metrics)
    if key is None or teacher is None:
        return ""

    def verdict(one: EvaluationSet, name: str) -> str:
        return compare(one, teacher, name, metrics[name]).verdict

    few = [one for one in of_role(sets, *_FEW) if verdict(one, key) != "n/a"]
    if not few:
        return ""
    equal = [one for one in few if verdict(one, key) in ("equal", "same", "better")]
    chosen = min(equal, key=_seconds) if equal else best_set(few, key, metrics)
    assert chosen is not None
    label, against = metrics[key].label, teacher.label
    why = f"the fastest few-step setting that {label} does not find worse than {against}."
    if not equal:
        why = f"the best one, as {label} finds every few-step setting worse than {against}."
    worse = [m.label for k, m in metrics.items() if k != key and verdict(chosen, k) == "worse"]
    but = f" It is worse on: {', '.join(worse)}." if worse else ""
    seconds = format_number(chosen.number("seconds_per_sample"))
    return f"{chosen.label} ({seconds} s a sample): {why}{but}"


def _seconds(one: EvaluationSet) -> float:
    seconds = one.number("seconds_per_sample")
    return seconds if math.isfinite(seconds) else math.inf
