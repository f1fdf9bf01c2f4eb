"""Axes of a panel: scales, ticks and the way numbers are written."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["Axis", "Numbers", "Scale", "format_number", "make_axis", "tick_text"]

Scale = Literal["linear", "log2", "log10", "auto"]
Numbers = NDArray[np.float64]

# A lower-is-better metric of a failing sampler can be 1000 times the teacher's: beyond this
# ratio a linear axis would press all other points into one line.
_LOG_RATIO = 30.0


def format_number(value: object) -> str:
    """Return three significant digits; "n/a" for NaN, None and what is no number."""
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return "n/a"
    if math.isnan(number):
        return "n/a"
    if math.isinf(number):
        return "∞" if number > 0 else "−∞"
    size = abs(number)
    if size == 0:
        return "0"
    if size >= 1e6 or size < 1e-3:
        text = f"{number:.2e}"
    elif size >= 100 or number.is_integer():
        text = f"{number:,.0f}"
    else:
        text = f"{number:.{2 - math.floor(math.log10(size))}f}"
    return text.replace("-", "−")


def tick_text(value: float) -> str:
    """Return a number as short as an axis needs it."""
    text = format_number(round(value, 12))
    return text.rstrip("0").rstrip(".") if "." in text and "e" not in text else text


@dataclass(frozen=True)
class Axis:
    """The map from values to places in a panel.

    Args:
        low: Value at ``start``.
        high: Value at ``end``.
        base: Base of a logarithmic axis, or None for a linear one.
        start: Place of ``low`` in the panel.
        end: Place of ``high`` in the panel.
    """

    low: float
    high: float
    base: float | None
    start: float
    end: float

    def _warp(self, values: ArrayLike) -> Numbers:
        array = np.asarray(values, dtype=float)
        if self.base is None:
            return array
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(np.log(array) / math.log(self.base))

    def at(self, values: ArrayLike) -> Numbers:
        """Return the places of values; non-finite where there is none."""
        low, high = float(self._warp(self.low)), float(self._warp(self.high))
        share = (self._warp(values) - low) / (high - low)
        return np.asarray(self.start + share * (self.end - self.start))

    def ticks(self) -> list[float]:
        """Return round values between the ends."""
        if self.base is None:
            return _linear_ticks(self.low, self.high)
        low, high = math.log(self.low, self.base), math.log(self.high, self.base)
        stride = max(1, math.ceil((high - low) / 6))
        powers = range(math.ceil(low - 1e-9), math.floor(high + 1e-9) + 1, stride)
        ticks = [self.base**power for power in powers]
        return ticks if len(ticks) > 1 else _linear_ticks(self.low, self.high)


def _linear_ticks(low: float, high: float, count: int = 5) -> list[float]:
    raw = (high - low) / count
    size = 10.0 ** math.floor(math.log10(raw))
    step = size * next(nice for nice in (1, 2, 2.5, 5, 10) if nice * size >= raw * 0.999)
    first = math.ceil(low / step - 1e-9)
    ticks = [round(index * step, 12) for index in range(first, first + count + 3)]
    return [tick for tick in ticks if low <= tick <= high + step * 1e-6]


def make_axis(values: Numbers, scale: Scale, start: float, end: float, pad: float) -> Axis:
    """Return an axis over the finite values, widened by ``pad`` of its length."""
    finite = values[np.isfinite(values)]
    positive = finite.size > 0 and bool((finite > 0).all())
    if scale == "auto":
        scale = "log10" if positive and finite.max() / finite.min() > _LOG_RATIO else "linear"
    base = {"log2": 2.0, "log10": 10.0}.get(scale) if positive else None
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    if base is not None:
        margin = max((high / low) ** pad, 1.15)
        return Axis(low / margin, high * margin, base, start, end)
    margin = (high - low) * pad or abs(high) * 0.1 or 0.5
    return Axis(low - margin, high + margin, None, start, end)
