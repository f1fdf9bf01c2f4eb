"""Progress and speed of trainings and sets, from the tables that they write."""

import csv
import math
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from domains.distillation.training.settings import Extent, Fit
from domains.errors import FewstepError
from domains.files.regular import check_regular

__all__ = ["sampling", "training"]

# Speed is that of the last shards: earlier ones may be of another day.
_RECENT = 10
# What a training's end is counted in, and the column of its log.
_UNITS = {
    "step": ("steps", "step"),
    "call": ("network calls", "network_calls"),
    "second": ("seconds", "seconds"),
}
_CHECKPOINT = re.compile(r"step-(\d+)\.pt")


def training(state: Path, fit: Fit) -> dict[str, Any]:
    """Return a training's progress, speed, and last losses and validation.

    Args:
        state: Directory of its log and checkpoints.
        fit: How long it is: so many steps, network calls or seconds.
    """
    _, end, name = fit.count(Extent(0))
    unit, column = _UNITS[name]
    log = state / "log.csv"
    rows = list(_rows(log)) if log.exists() else []
    if not rows:
        return {"done": 0, "of": end, "unit": unit}
    step = _count(rows[-1], "step", log)
    done = _count(rows[-1], column, log)
    speed = _steps_per_second(state, step)
    if speed is not None:
        speed *= done / max(1, step)
    return {
        "done": done,
        "of": end,
        "unit": unit,
        "speed": speed,
        "checkpoint": max((step for step, _ in _checkpoints(state)), default=None),
        **({"seconds_left": max(0, end - done) / speed} if speed else {}),
        "metrics": _last_metrics(rows, log),
    }


def _count(row: dict[str, str], name: str, log: Path) -> int:
    try:
        return _counted(row.get(name, ""))
    except ValueError as error:
        raise _unreadable(log, error) from error


def _counted(text: str) -> int:
    if not re.fullmatch("[0-9]{1,18}", text):
        raise ValueError(f"{text[:80]!r} is no count")
    return int(text)


def _last_metrics(rows: list[dict[str, str]], log: Path) -> dict[str, float | None]:
    """Return the last losses and validation quality, with their steps; None is no finite number."""
    found: dict[str, float | None] = {}
    for name in rows[0]:
        given = [row for row in rows if row[name]]
        if given and name.endswith(("/loss", "/quality")):
            step, value = given[-1]["step"], _number(given[-1], name, log)
            found[f"{name} at {step}"] = value if math.isfinite(value) else None
    return found


def _checkpoints(state: Path) -> list[tuple[int, float]]:
    """Return (step, moment) of the checkpoints that are kept."""
    found = []
    for path in sorted((state / "state").glob("step-*.pt")):
        if named := _CHECKPOINT.fullmatch(path.name):
            found.append((int(named[1]), path.stat().st_mtime))
    return found


def _steps_per_second(state: Path, step: int) -> float | None:
    """Return the speed between the last two checkpoints, else since the training (re)started."""
    owner = state / "settings.json"  # written whenever the training starts
    began = owner.stat().st_mtime if owner.exists() else None
    saved = _checkpoints(state)
    since = [point for point in saved if began is not None and point[1] > began]
    if len(since) >= 2:
        (first, start), (last, end) = since[-2:]
    elif began is not None:
        first, start = max((s for s, moment in saved if moment <= began), default=0), began
        last, end = step, (state / "log.csv").stat().st_mtime
    else:
        return None
    return (last - first) / (end - start) if last > first and end > start else None


def sampling(shards: Iterable[Path], count: int) -> dict[str, Any]:
    """Return a set's numbers of samples, made and skipped, and their speed.

    Args:
        shards: Directories of its shards, finished or not.
        count: How many samples it is to have.
    """
    made, skipped, seconds = 0, 0, 0.0
    finished: list[tuple[float, int]] = []
    for shard in shards:
        index = shard / "index.csv"
        if not index.exists():
            continue
        times = [_seconds(row, index) for row in _rows(index)]
        lost = sum(1 for _ in _rows(shard / "skipped.csv"))
        made, skipped, seconds = made + len(times), skipped + lost, seconds + sum(times)
        finished.append((index.stat().st_mtime, len(times)))
    speed = _samples_per_second(finished)
    left = count - made - skipped
    return {
        "unit": "shards",
        "samples": made,
        "asked": count,
        "skipped": skipped,
        "seconds_per_sample": seconds / made if made else None,
        "speed": speed,
        **({"seconds_left": left / speed} if speed and left > 0 else {}),
    }


def _samples_per_second(finished: list[tuple[float, int]]) -> float | None:
    """Return the speed of the last shards, all that run side by side together."""
    recent = sorted(finished)[-_RECENT:]
    if len(recent) < 2 or recent[-1][0] <= recent[0][0]:
        return None
    return sum(count for _, count in recent[1:]) / (recent[-1][0] - recent[0][0])


def _rows(path: Path) -> Iterator[dict[str, str]]:
    """Yield the rows of a CSV table; none where there is none."""
    try:
        check_regular(path)
        with path.open(newline="", encoding="utf-8") as stream:
            table = csv.DictReader(stream, restval="", strict=True)
            for row in table:
                yield {name: value for name, value in row.items() if name is not None}
    except FileNotFoundError:
        return
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise _unreadable(path, error) from error


def _number(row: dict[str, str], name: str, path: Path) -> float:
    try:
        return float(row[name])
    except (KeyError, ValueError) as error:
        raise _unreadable(path, error) from error


def _seconds(row: dict[str, str], path: Path) -> float:
    value = _number(row, "seconds", path)
    if not 0 <= value < math.inf:
        raise _unreadable(path, ValueError(f"seconds can't be {row['seconds'][:80]!r}"))
    return value


def _unreadable(path: Path, error: Exception) -> FewstepError:
    return FewstepError(f"can't read {path}", got=error, do="Delete it: the run makes it again")
