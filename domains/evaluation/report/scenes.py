"""3-D scenes of the report: what the sets made of the same noise or scan, side by side."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np

from domains.errors import FewstepError
from domains.evaluation.report.pictures import Frame, pack_scene
from domains.evaluation.statistics.sets import EvaluationSet

__all__ = ["Row", "as_numbers", "scenes"]

_POINT_BUDGET = 160_000  # 9 bytes a point in base64: keeps the scenes below 1.5 MB
_MOST_POINTS = 60_000
# What a slider runs through: from what was there over what was made to what is true.
_SLIDER = ("decoys", "files", "teacher_naive", "student", "teacher", "data")


@dataclass(frozen=True)
class Row:
    """Scenes of all sets that belong together.

    Attributes:
        title: What they have in common.
        cards: What the page says of each scene, with its number.
        slider: Numbers of clouds in one frame, to be looked at in one place, with their labels.
    """

    title: str
    cards: list[dict[str, Any]] = field(default_factory=list)
    slider: list[tuple[int, str]] = field(default_factory=list)


def as_numbers(rows: Any, path: Path) -> np.ndarray:
    """Return an array of a set's gallery; JSON null becomes NaN.

    Raises:
        FewstepError: Its rows are no equally long lists of numbers.
    """
    try:
        return np.array(rows, dtype=float)
    except (TypeError, ValueError, OverflowError) as error:
        raise FewstepError(
            f"{path / 'gallery.json'} has a wrong array",
            got=str(error),
            do="Write equally long rows of numbers or null",
        ) from error


def _link(one: EvaluationSet, name: object, output: Path) -> str | None:
    """Return a harmless relative address of a file that exists, else None."""
    try:
        if not name or not (one.path / str(name)).is_file():
            return None
    except OSError:  # such as a name that no file system takes
        return None
    relative = os.path.relpath((one.path / str(name)).resolve(), output.parent.resolve())
    return "./" + quote(Path(relative).as_posix(), safe="/")


def scenes(sets: Sequence[EvaluationSet], output: Path) -> tuple[list[dict[str, Any]], list[Row]]:
    """Pack the scenes of all sets, and part them into rows.

    Clouds of one name share a row, and a frame, so that a slider can run through them. Of chains
    the first of each set share a row, and so on: in a run these were made of the same noise.

    Raises:
        FewstepError: A scene is malformed.
    """
    wanted = [
        (one, scene, _row_of(one, scene, place))
        for one in sets
        for place, scene in enumerate(one.gallery.get("scenes", []))
    ]
    points = [as_numbers(scene.get("points"), one.path) for one, scene, _ in wanted]
    clouds = sum(scene["kind"] == "cloud" for _, scene, _ in wanted)
    limit = min(_MOST_POINTS, _POINT_BUDGET // max(clouds, 1))
    together: dict[tuple[str, str], list[np.ndarray]] = {}
    for (_, _, key), place in zip(wanted, points, strict=True):
        together.setdefault(key, []).append(place)
    frames = {key: _frame(same) if key[0] == "cloud" else None for key, same in together.items()}
    rows: dict[tuple[str, str], Row] = {}
    packed = []
    for (one, scene, key), place in zip(wanted, points, strict=True):
        row = rows.setdefault(key, Row(key[1]))
        frame = frames[key]
        colour = _colour(one, scene, place, frame)
        data, notes = pack_scene(place, scene["kind"], colour, limit=limit, frame=frame)
        row.cards.append({**_card(one, scene, output), "notes": notes, "scene": len(packed)})
        packed.append(data)
    return packed, [_with_slider(row, key[0]) for key, row in rows.items()]


def _row_of(one: EvaluationSet, scene: dict[str, Any], place: int) -> tuple[str, str]:
    """Return kind and title of the row that a scene is in."""
    kind = scene.get("kind")
    if kind not in ("trace", "cloud"):
        raise FewstepError(
            f"{one.path / 'gallery.json'} has an unknown scene",
            expected="trace or cloud",
            got=kind,
            do="Correct the kind",
        )
    if kind == "cloud":  # a scan is called "NAME, the scan"
        return kind, str(scene.get("title") or "").partition(",")[0]
    return kind, f"Sample {place + 1} of each set"


def _frame(clouds: Sequence[np.ndarray]) -> Frame | None:
    """Return the box around some clouds' finite points."""
    finite = [cloud for cloud in clouds if cloud.ndim == 2 and cloud.shape[1:] == (3,)]
    every = np.concatenate(finite) if finite else np.empty((0, 3))
    every = every[np.isfinite(every).all(1)]
    if not len(every):
        return None
    low, high = every.min(0) / 2, every.max(0) / 2  # halved first: numbers may be huge
    centre, half = low + high, float((high - low).max()) or 1.0
    radius = float(np.linalg.norm((every - centre) / half, axis=1).max()) or 1.0
    floor, top = np.percentile(every[:, 2], [1, 99])
    return Frame(centre, half, radius, (float(floor), float(top)))


def _colour(
    one: EvaluationSet, scene: dict[str, Any], points: np.ndarray, frame: Frame | None
) -> np.ndarray | None:
    """Return a scene's own colours; else of a cloud its heights, the same in all of a row."""
    if scene.get("colour") is not None:
        return as_numbers(scene["colour"], one.path)
    if frame is None or points.ndim != 2 or points.shape[1:] != (3,):
        return None
    floor, top = frame.heights
    return (points[:, 2] - floor) / (top - floor or 1.0)


def _card(one: EvaluationSet, scene: dict[str, Any], output: Path) -> dict[str, Any]:
    return {
        "set": one,
        "title": scene.get("title"),
        "caption": scene.get("caption"),
        "name": scene.get("link"),
        "link": _link(one, scene.get("link"), output),
    }


def _with_slider(row: Row, kind: str) -> Row:
    """Let a slider run through clouds, where there are several."""
    if kind == "cloud" and len(row.cards) > 1:
        order = {role: place for place, role in enumerate(_SLIDER)}
        cards = sorted(row.cards, key=lambda card: order.get(card["set"].role, len(order)))
        same = {card["set"].label for card in cards}
        for card in cards:
            own = card["set"].label if len(same) > 1 else str(card["title"])
            row.slider.append((card["scene"], own))
    return row
