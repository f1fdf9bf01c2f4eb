"""Horizontal bars with intervals, for values by name."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from domains.evaluation.report.axis import Axis, format_number, make_axis, tick_text
from domains.evaluation.report.svg import svg, tag

__all__ = ["Bar", "bar_panel"]

_WIDTH, _LEFT, _RIGHT, _ROW, _TOP, _BOTTOM = 340, 118, 14, 19, 6, 40
_MOST_LETTERS = 19


@dataclass(frozen=True)
class Bar:
    """A value by name, and where known its interval."""

    label: str
    style: str
    value: float
    low: float = math.nan
    high: float = math.nan


def bar_panel(bars: Sequence[Bar], *, x_label: str, describe: str) -> Markup:
    """Draw bars from zero; a value that is not finite is marked "n/a".

    Args:
        bars: From top to bottom.
        x_label: Name and unit of the values.
        describe: Text for screen readers.
    """
    height = _TOP + _ROW * len(bars) + _BOTTOM
    ends = np.array([[bar.value, bar.low, bar.high] for bar in bars], dtype=float).ravel()
    x = make_axis(np.append(ends, 0.0), "linear", _LEFT, _WIDTH - _RIGHT, 0.04)
    floor, zero = _TOP + _ROW * len(bars), float(x.at(0.0))
    parts = []
    for tick in x.ticks():
        at = f"{float(x.at(tick)):.1f}"
        parts.append(tag("path", d=f"M{at} {_TOP}V{floor}", class_="gridline"))
        parts.append(tag("text", tick_text(tick), x=at, y=floor + 15, class_="tick mid"))
    for row, bar in enumerate(bars):
        parts += _draw(bar, _TOP + _ROW * row, x)
    parts.append(tag("path", d=f"M{zero:.1f} {_TOP}V{floor}", class_="axis"))
    middle = (_LEFT + _WIDTH - _RIGHT) / 2
    parts.append(tag("text", x_label, x=middle, y=height - 8, class_="label mid"))
    return svg(parts, _WIDTH, height, describe)


def _draw(bar: Bar, top: float, x: Axis) -> list[Markup]:
    middle = top + _ROW / 2
    short = bar.label if len(bar.label) <= _MOST_LETTERS else bar.label[: _MOST_LETTERS - 1] + "…"
    tip = f"{bar.label}: {format_number(bar.value)}"
    name = tag("text", short, x=_LEFT - 7, y=f"{middle + 3.5:.1f}", class_="tick end")
    if not math.isfinite(bar.value):
        text = tag("title", tip), "n/a"
        return [name, tag("text", *text, x=_LEFT + 4, y=f"{middle + 3.5:.1f}", class_="tick")]
    end = float(x.at(bar.value))
    parts = [name]
    if math.isfinite(bar.low) and math.isfinite(bar.high):
        tip += f" [{format_number(bar.low)}, {format_number(bar.high)}]"
    zero = float(x.at(0.0))
    left, width = min(zero, end), max(abs(end - zero), 1)
    box = {"x": f"{left:.1f}", "y": f"{top + 4:.1f}", "width": f"{width:.1f}", "height": _ROW - 8}
    parts.append(tag("rect", tag("title", tip), **box, class_=f"bar-mark {bar.style}"))
    if math.isfinite(bar.low) and math.isfinite(bar.high):
        low, high = (float(x.at(value)) for value in (bar.low, bar.high))
        parts.append(tag("path", d=f"M{low:.1f} {middle:.1f}H{high:.1f}", class_="whisker axis"))
    return parts
