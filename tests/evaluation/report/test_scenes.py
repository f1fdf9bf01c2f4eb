"""Contract: scenes that belong together share a row; its clouds share frame and colours."""

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from evaluation.report_files import write_set

from domains.errors import FewstepError
from domains.evaluation.report.scenes import scenes
from domains.evaluation.statistics.sets import EvaluationSet, read_set


def a_set(root: Path, role: str, shown: list[dict[str, Any]]) -> EvaluationSet:
    path = write_set(root, role, role, label=role)
    (path / "gallery.json").write_text(json.dumps({"scenes": shown}))
    return read_set(path)


def scene(title: str, points: np.ndarray, kind: str = "cloud", **more: Any) -> dict[str, Any]:
    return {"title": title, "caption": "", "kind": kind, "points": points.tolist(), **more}


def cloud(high: float, count: int = 50) -> np.ndarray:
    rng = np.random.default_rng(count)
    return rng.uniform([-10, -10, -2], [10, 10, high], (count, 3))


def shown_at(packed: dict[str, Any], half: float) -> np.ndarray:
    """Coordinates in the viewer's frame, times its half edge."""
    raw = np.frombuffer(base64.b64decode(packed["points"]), "<i2").reshape(-1, 3)
    return raw / 32767 * half


def test_chains_of_one_place_stand_side_by_side(tmp_path: Path) -> None:
    chains = [np.cumsum(np.eye(3)[np.arange(9) % 3], 0) * k for k in (1, 2)]
    sets = [
        a_set(tmp_path, role, [scene(f"{role}{k}", c, "trace") for k, c in enumerate(chains)])
        for role in ("teacher", "student")
    ]
    packed, rows = scenes(sets, tmp_path / "report.html")
    assert [row.title for row in rows] == ["Sample 1 of each set", "Sample 2 of each set"]
    titles = [[card["title"] for card in row.cards] for row in rows]
    assert titles == [["teacher0", "student0"], ["teacher1", "student1"]]
    assert not any(row.slider for row in rows)
    assert sorted(card["scene"] for row in rows for card in row.cards) == list(range(len(packed)))


def test_clouds_of_one_scene_lie_in_one_frame(tmp_path: Path) -> None:
    truth, made = cloud(6.0, 80), cloud(1.0, 40) * 0.5
    sets = [
        a_set(tmp_path, "data", [scene("08_0001", truth)]),
        a_set(tmp_path, "student", [scene("08_0001", made), scene("08_0002", made)]),
    ]
    packed, rows = scenes(sets, tmp_path / "report.html")
    assert [row.title for row in rows] == ["08_0001", "08_0002"]
    both = np.concatenate([truth, made])
    low, high = both.min(0), both.max(0)
    half = float((high - low).max() / 2)
    for number, points in ((0, truth), (1, made)):
        expected = points - (low + high) / 2
        np.testing.assert_allclose(shown_at(packed[number], half), expected, atol=1e-3)
    assert packed[0]["radius"] == packed[1]["radius"]
    # The slider runs from what was made to what is true; a lone cloud has none.
    assert [label for _, label in rows[0].slider] == ["student", "data"]
    assert rows[1].slider == []


def test_colours_mean_the_same_height_in_a_row(tmp_path: Path) -> None:
    flat, tall = cloud(0.0), cloud(8.0, 90)
    sets = [
        a_set(tmp_path, "data", [scene("a", tall)]),
        a_set(tmp_path, "student", [scene("a", flat)]),
    ]
    packed, _ = scenes(sets, tmp_path / "report.html")
    tops = [max(base64.b64decode(one["colour"])) for one in packed]
    assert tops[0] == 255 and tops[1] < 100


def test_a_scan_and_its_completion_of_one_set_share_a_row(tmp_path: Path) -> None:
    shown = [scene("street, the scan", cloud(3.0)), scene("street", cloud(4.0))]
    _, rows = scenes([a_set(tmp_path, "student", shown)], tmp_path / "report.html")
    assert [row.title for row in rows] == ["street"]
    assert [label for _, label in rows[0].slider] == ["street, the scan", "street"]


def test_points_that_are_not_finite_do_not_decide_the_frame(tmp_path: Path) -> None:
    broken = cloud(3.0)
    shown = [scene("a", broken), scene("a, the scan", cloud(3.0, 30))]
    shown[0]["points"][0] = [None, 1e9, 0.0]  # JSON's word for what is not finite
    packed, rows = scenes([a_set(tmp_path, "student", shown)], tmp_path / "report.html")
    assert np.isfinite(packed[0]["radius"]) and packed[0]["count"] == 49
    assert "1 of 50 points are n/a" in rows[0].cards[0]["notes"][0]


def test_a_scene_of_another_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FewstepError, match="unknown scene"):
        scenes([a_set(tmp_path, "data", [scene("a", cloud(1.0), "mesh")])], tmp_path / "r.html")
