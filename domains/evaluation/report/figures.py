"""Inline SVG panels of the report.

Colours and fonts are never written into a figure. Every mark carries a CSS class that
``assets/report.css`` styles, so a figure follows the light or dark page that holds it.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from markupsafe import Markup
from numpy.typing import ArrayLike

from domains.evaluation.report.axis import Axis, Numbers, Scale, format_number, make_axis, tick_text
from domains.evaluation.report.svg import svg, tag

__all__ = ["Band", "Series", "distribution_panel", "line_panel"]

_WIDTH, _HEIGHT = 340, 224
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 12, 10, 40


@dataclass(frozen=True)
class Series:
    """One line of a panel.

    Args:
        label: The name in the tooltip.
        style: CSS classes that give colour and dash.
        x: Positions.
        y: Values; a non-finite one is marked "n/a" and breaks the line.
        low: Lower ends of the intervals, or None.
        high: Upper ends of the intervals, or None.
        dots: Draw a marker and a tooltip at each value.
    """

    label: str
    style: str
    x: ArrayLike
    y: ArrayLike
    low: ArrayLike | None = None
    high: ArrayLike | None = None
    dots: bool = True


@dataclass(frozen=True)
class Band:
    """A horizontal reference: a value and, where known, its interval."""

    label: str
    style: str
    value: float
    low: float = math.nan
    high: float = math.nan


def _path(xs: Numbers, ys: Numbers, *, close: bool = False) -> str:
    """Return path data; a non-finite point lifts the pen."""
    parts, pen = [], False
    for x, y in zip(xs, ys, strict=True):
        if not (math.isfinite(x) and math.isfinite(y)):
            pen = False
            continue
        parts.append(f"{'L' if pen else 'M'}{x:.1f} {y:.1f}")
        pen = True
    return "".join(parts) + ("Z" if close and parts else "")


def _frame(x: Axis, y: Axis, x_label: str, y_label: str) -> list[Markup]:
    right, floor = _WIDTH - _RIGHT, _HEIGHT - _BOTTOM
    parts = [tag("path", d=f"M{_LEFT} {floor}H{right}", class_="axis")]
    for tick in y.ticks():
        at = float(y.at(tick))
        parts.append(tag("path", d=f"M{_LEFT} {at:.1f}H{right}", class_="gridline"))
        parts.append(
            tag("text", tick_text(tick), x=_LEFT - 6, y=f"{at + 3.5:.1f}", class_="tick end")
        )
    for tick in x.ticks():
        at = float(x.at(tick))
        parts.append(tag("path", d=f"M{at:.1f} {floor}v4", class_="axis"))
        parts.append(tag("text", tick_text(tick), x=f"{at:.1f}", y=floor + 16, class_="tick mid"))
    middle = (_LEFT + right) / 2
    parts.append(tag("text", x_label, x=middle, y=_HEIGHT - 6, class_="label mid"))
    if y_label:
        turn = f"rotate(-90 11 {(_TOP + floor) / 2})"
        parts.append(
            tag("text", y_label, x=11, y=(_TOP + floor) / 2, transform=turn, class_="label mid")
        )
    return parts


def _draw_band(band: Band, y: Axis) -> list[Markup]:
    if not math.isfinite(band.value):
        return []
    right, tip = _WIDTH - _RIGHT, f"{band.label}: {format_number(band.value)}"
    parts = []
    if math.isfinite(band.low) and math.isfinite(band.high):
        top, bottom = float(y.at(band.high)), float(y.at(band.low))
        tip += f" [{format_number(band.low)}, {format_number(band.high)}]"
        if math.isfinite(top) and math.isfinite(bottom):
            parts.append(
                tag(
                    "rect",
                    x=_LEFT,
                    y=f"{top:.1f}",
                    width=right - _LEFT,
                    height=f"{max(bottom - top, 1):.1f}",
                    class_=f"band {band.style}",
                )
            )
    line = f"M{_LEFT} {float(y.at(band.value)):.1f}H{right}"
    parts.append(tag("path", tag("title", tip), d=line, class_=f"rule {band.style}"))
    return parts


def _draw_series(series: Series, x: Axis, y: Axis) -> list[Markup]:
    xs, ys = x.at(series.x), y.at(series.y)
    parts = [tag("path", d=_path(xs, ys), class_=f"line {series.style}")]
    if not series.dots:
        return parts
    values = np.asarray(series.y, dtype=float)
    places = np.asarray(series.x, dtype=float)
    blank = np.full(values.shape, np.nan)
    low = blank if series.low is None else np.asarray(series.low, dtype=float)
    high = blank if series.high is None else np.asarray(series.high, dtype=float)
    for i, value in enumerate(values):
        tip = f"{series.label}, {format_number(places[i])}: {format_number(value)}"
        if not math.isfinite(ys[i]):
            parts.append(
                tag(
                    "text",
                    tag("title", tip),
                    "n/a",
                    x=f"{xs[i]:.1f}",
                    y=_HEIGHT - _BOTTOM - 4,
                    class_=f"missing mid {series.style}",
                )
            )
            continue
        if math.isfinite(low[i]) and math.isfinite(high[i]):
            tip += f" [{format_number(low[i])}, {format_number(high[i])}]"
            ends = np.clip(
                np.nan_to_num(y.at([high[i], low[i]]), neginf=1e9, posinf=-1e9),
                _TOP,
                _HEIGHT - _BOTTOM,
            )
            parts.append(
                tag(
                    "path",
                    d=f"M{xs[i]:.1f} {ends[0]:.1f}V{ends[1]:.1f}",
                    class_=f"whisker {series.style}",
                )
            )
        parts.append(
            tag(
                "circle",
                tag("title", tip),
                cx=f"{xs[i]:.1f}",
                cy=f"{ys[i]:.1f}",
                r=3.6,
                class_=f"dot {series.style}",
            )
        )
    return parts


def line_panel(
    series: Sequence[Series],
    bands: Sequence[Band] = (),
    *,
    x_label: str,
    y_label: str = "",
    x_scale: Scale = "linear",
    y_scale: Scale = "auto",
    describe: str,
) -> Markup:
    """Draw lines with intervals over horizontal reference bands.

    Args:
        series: The lines; non-finite values are marked, not dropped.
        bands: References that hold for every x.
        x_label: Name and unit of the x axis.
        y_label: Name and unit of the y axis.
        x_scale: Scale of the x axis.
        y_scale: Scale of the y axis; "auto" turns to log10 over more than 1.5 decades.
        describe: Text for screen readers.

    Returns:
        An ``svg`` element.
    """
    x_all = np.concatenate([np.asarray(s.x, dtype=float) for s in series] or [np.zeros(0)])
    heights = [
        np.asarray(v, dtype=float) for s in series for v in (s.y, s.low, s.high) if v is not None
    ]
    heights += [np.array([band.value, band.low, band.high]) for band in bands]
    y_all = np.concatenate(heights) if heights else np.zeros(0)
    x = make_axis(
        x_all, x_scale, _LEFT, _WIDTH - _RIGHT, 0.05 if any(s.dots for s in series) else 0
    )
    y = make_axis(y_all, y_scale, _HEIGHT - _BOTTOM, _TOP, 0.06)
    if y.base is not None:
        y_label = f"{y_label} (log scale)".strip()
    parts = _frame(x, y, x_label, y_label)
    for band in bands:
        parts += _draw_band(band, y)
    for one in series:
        parts += [tag("g", *_draw_series(one, x, y))]
    return svg(parts, _WIDTH, _HEIGHT, describe)


def _histogram(values: Numbers, edges: Numbers) -> tuple[Numbers, Numbers]:
    share = np.histogram(values, edges)[0] / max(values.size, 1)
    return np.repeat(edges, 2), np.concatenate([[0.0], np.repeat(share, 2), [0.0]])


def _cumulative(values: Numbers, edges: Numbers) -> tuple[Numbers, Numbers]:
    places = np.linspace(edges[0], edges[-1], 121)
    return places, np.searchsorted(np.sort(values), places, side="right") / max(values.size, 1)


def distribution_panel(
    groups: Sequence[tuple[str, str, ArrayLike]],
    *,
    x_label: str,
    kind: Literal["histogram", "cumulative"],
    describe: str,
) -> tuple[Markup, int]:
    """Draw the distributions of several sets on one axis.

    The axis spans the central 99 % of the pooled finite values, so that one runaway sample
    can't flatten the picture.

    Args:
        groups: For each set its label, CSS classes and values.
        x_label: Name and unit of the quantity.
        kind: A histogram (share per bin) or the empirical distribution function.
        describe: Text for screen readers.

    Returns:
        The ``svg`` element, and the number of finite values outside its axis.
    """
    arrays = [np.asarray(values, dtype=float) for _, _, values in groups]
    finite = [array[np.isfinite(array)] for array in arrays]
    pool = np.concatenate(finite) if finite else np.zeros(0)
    low, high = np.quantile(pool, [0.005, 0.995]) if pool.size else (0.0, 1.0)
    low, high = (low, high) if high > low else (low - 0.5, high + 0.5)
    smallest = min((array.size for array in finite if array.size), default=1)
    edges = np.linspace(low, high, int(np.clip(1.6 * math.sqrt(smallest), 8, 32)) + 1)
    curve: Callable[[Numbers, Numbers], tuple[Numbers, Numbers]]
    curve = _histogram if kind == "histogram" else _cumulative
    curves = [curve(array, edges) for array in finite]
    top = max((float(ys.max()) for _, ys in curves), default=1.0) or 1.0
    x = make_axis(edges, "linear", _LEFT, _WIDTH - _RIGHT, 0.02)
    y = Axis(0.0, top * 1.06, None, _HEIGHT - _BOTTOM, _TOP)
    name = "share of samples" if kind == "histogram" else "share at or below"
    parts = _frame(x, y, x_label, name)
    for (label, style, _), (xs, ys), array in zip(groups, curves, finite, strict=True):
        if array.size:
            fill = "area" if kind == "histogram" else "line"
            parts.append(
                tag(
                    "path",
                    tag("title", label),
                    d=_path(x.at(xs), y.at(ys)),
                    class_=f"{fill} {style}",
                )
            )
    outside = int(((pool < low) | (pool > high)).sum())
    return svg(parts, _WIDTH, _HEIGHT, describe), outside
