"""The results as a LaTeX table: a row per set, a column per metric, intervals under the values."""

import math
from collections.abc import Mapping, Sequence

from domains.evaluation.report.axis import format_number
from domains.evaluation.statistics.sets import EvaluationSet, Metric

__all__ = ["latex_table"]

_SPECIAL = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "γ": r"$\gamma$",
    "α": r"$\alpha$",
    "–": "--",
    "−": "$-$",
    "∞": r"$\infty$",
    "Å": r"\AA{}",
    "≤": r"$\leq$",
    ">": r"$>$",
    "<": r"$<$",
    **{character: f"\\{character}" for character in "&%$#_{}"},
}
_ARROWS = {"higher": r" $\uparrow$", "lower": r" $\downarrow$", "none": ""}


def latex_table(sets: Sequence[EvaluationSet], metrics: Mapping[str, Metric], caption: str) -> str:
    """Return a ``table`` for the package booktabs.

    Args:
        sets: In the order of the rows.
        metrics: Those that any of the sets has become columns.
        caption: Plain text; what the intervals are, seeds and tools are said after it.
    """
    known = {name for one in sets for name in one.metrics["metric"]}
    columns = {key: metric for key, metric in metrics.items() if key in known}
    heads = [f"{escape(metric.label)}{_ARROWS[metric.better]}" for metric in columns.values()]
    lines = [
        "% \\usepackage{booktabs}",
        r"\begin{table}",
        rf"\caption{{{escape(f'{caption}. {_facts(sets)}')}}}",
        rf"\begin{{tabular}}{{l{'r' * (len(columns) + 1)}}}",
        r"\toprule",
        " & ".join(["Set", "Steps", *heads]) + r" \\",
        r"\midrule",
    ]
    for one in sets:
        cells = [_cell(one, key) for key in columns]
        # The braces keep a label's bracket from being an argument of the line before.
        source = f" ({one.facts['source']})" if one.facts.get("source") else ""
        first = [f"{{}}{escape(one.label + source)}", format_number(one.number("steps"))]
        lines.append(" & ".join([*first, *(value for value, _ in cells)]) + r" \\")
        lines.append(" & ".join(["", "", *(interval for _, interval in cells)]) + r" \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", r"\end{table}", ""])


def _cell(one: EvaluationSet, key: str) -> tuple[str, str]:
    """Return value and interval; a dash where it was not measured."""
    value, low, high = one.estimate(key)
    if key not in set(one.metrics["metric"]):
        return "--", ""
    between = math.isfinite(low) and math.isfinite(high)
    ends = f"{format_number(low)}, {format_number(high)}"
    return escape(format_number(value)), rf"\scriptsize [{escape(ends)}]" if between else ""


def _facts(sets: Sequence[EvaluationSet]) -> str:
    counts = sorted({int(one.number("n")) for one in sets if math.isfinite(one.number("n"))})
    seeds = sorted({str(seed) for one in sets for seed in one.facts.get("seeds") or []})
    tools = sorted({str(tool) for one in sets for tool in one.metrics["tool"].dropna()})
    return (
        f"95 % bootstrap intervals; n = {', '.join(map(str, counts))}; "
        f"seeds {', '.join(seeds)}; {'; '.join(tools)}."
    )


def escape(text: str) -> str:
    """Return text that LaTeX prints as it is."""
    return "".join(_SPECIAL.get(character, character) for character in text)
