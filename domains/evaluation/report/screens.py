"""The report's section on screens: what each gate let pass, what is kept, and at what cost."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup

from domains.errors import FewstepError
from domains.evaluation.report import figures
from domains.evaluation.report.figures import Series
from domains.files.regular import read_json_object

__all__ = ["Screened", "panel", "read_screens", "shown", "style"]

_STYLES = 6
_NUMBERS = ("asked", "samples", "sampling_seconds", "kept", "hours")


@dataclass(frozen=True)
class Screened:
    """A screened set as ``screen.json`` tells it."""

    facts: dict[str, Any]

    @property
    def label(self) -> str:
        """Name of the set."""
        return str(self.facts["label"])

    @property
    def gates(self) -> list[dict[str, Any]]:
        """Counts of each gate, and in words what it turned away."""
        return [
            {**gate, "why": ", ".join(f"{n:,} {name}" for name, n in gate["failed"].items())}
            for gate in self.facts["gates"]
        ]

    @property
    def sampling_hours(self) -> float:
        """Hours of sampling."""
        return self.facts["sampling_seconds"] / 3600

    @property
    def gate_hours(self) -> float:
        """Hours of all gates."""
        return self.facts["hours"] - self.sampling_hours

    @property
    def per_hour(self) -> float:
        """Kept samples per hour of sampling and gates; NaN where sampling took none."""
        value = self.facts["kept_per_hour"]
        return math.nan if value is None else float(value)


def read_screens(directories: Sequence[Path]) -> list[Screened]:
    """Read what the screen stage has written, in the order given.

    Raises:
        FewstepError: A file is missing or malformed.
    """
    return [Screened(_read(path / "screen.json")) for path in directories]


def shown(directories: Sequence[Path]) -> dict[str, Any]:
    """Return what the report's page shows of them, by the names that the page has for it."""
    found = read_screens(directories)
    return {"screens": found, "screen_panel": panel(found), "screen_style": style}


def _read(path: Path) -> dict[str, Any]:
    try:
        facts = read_json_object(path)
        wrong = [name for name in _NUMBERS if not 0 <= float(facts[name]) < math.inf]
        for gate in facts["gates"]:
            wrong += [n for n in ("seen", "passed", "seconds") if not float(gate[n]) >= 0]
            right = isinstance(gate["failed"], dict) and isinstance(gate["name"], str)
            wrong += [] if right else ["name or failed"]
        wrong += [name for name in ("label", "role") if not isinstance(facts[name], str)]
        curve = np.array(facts["curve"], dtype=float)
        if wrong or curve.ndim != 2 or curve.shape[1] != 3:
            raise ValueError(f"a wrong {wrong[0] if wrong else 'curve'}")
        float(facts["kept_per_hour"] or 0)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise FewstepError(
            f"{path} is none of a screen", got=error, do="Run the screen stage again"
        ) from error
    return facts


def panel(screens: Sequence[Screened]) -> Markup | None:
    """Draw how many are kept after how many hours, for each set whose sampling took time."""
    series = []
    for k, one in enumerate(screens):
        curve = np.array(one.facts["curve"], dtype=float)
        if one.facts["sampling_seconds"] > 0:
            series.append(Series(one.label, style(k), curve[:, 1], curve[:, 2], dots=False))
    if not series:
        return None
    return figures.line_panel(
        series,
        x_label="hours of sampling and gates",
        y_label="kept",
        y_scale="linear",
        describe="Kept samples against hours",
    )


def style(number: int) -> str:
    """Return the CSS classes of a screened set."""
    return f"c-s{number % _STYLES} d{number // _STYLES % 4}"
