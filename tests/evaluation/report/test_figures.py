"""Contract: a figure shows every number it is given, or says that it is n/a.

Marks sit where the values are, text from files stays text, a packed scene can be unpacked to
the resolution of a screen, and what is left out of a picture is counted.
"""

import base64
import math
import re
import struct
import xml.etree.ElementTree as ElementTree
import zlib

import numpy as np
import pytest

from domains.errors import FewstepError
from domains.evaluation.report.axis import format_number
from domains.evaluation.report.figures import Band, Series, distribution_panel, line_panel
from domains.evaluation.report.pictures import heat_map, pack_scene


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (math.nan, "n/a"),
        (None, "n/a"),
        ("steps", "n/a"),
        (math.inf, "∞"),
        (0, "0"),
        (0.93, "0.930"),
        (-0.015, "−0.0150"),
        (20.31, "20.3"),
        (400, "400"),
        (1234.5, "1,234"),
        (2.5e-7, "2.50e−07"),
    ],
)
def test_numbers_keep_three_digits(value: object, text: str) -> None:
    assert format_number(value) == text


def _circles(svg: str) -> list[tuple[float, float]]:
    found = ElementTree.fromstring(svg).iter("circle")
    return [(float(one.attrib["cx"]), float(one.attrib["cy"])) for one in found]


def test_points_sit_on_a_log2_axis() -> None:
    svg = line_panel(
        [Series("a", "c", [1, 2, 4, 8], [0, 1, 2, 3])],
        x_label="steps",
        x_scale="log2",
        describe="d",
    )
    xs, ys = np.array(_circles(svg)).T
    np.testing.assert_allclose(np.diff(xs), np.diff(xs)[0], atol=0.2)
    np.testing.assert_allclose(np.diff(ys), np.diff(ys)[0], atol=0.2)
    assert ys[0] > ys[-1], "a larger value must stand higher"


def test_a_missing_value_is_written_and_breaks_the_line() -> None:
    svg = line_panel([Series("a", "c", [1, 2, 4], [1.0, math.nan, 2.0])], x_label="x", describe="d")
    assert "n/a" in svg and len(_circles(svg)) == 2
    line = re.search(r'<path d="([^"]*)" class="line c"', svg)
    assert line and line[1].count("M") == 2


def test_only_missing_values_still_give_a_panel() -> None:
    svg = line_panel(
        [Series("a", "c", [1, 2], [math.nan, math.nan])],
        [Band("t", "c", math.nan)],
        x_label="x",
        describe="d",
    )
    assert svg.count("</title>n/a") == 2
    assert "nan" not in svg


def test_wide_positive_values_get_a_log_axis() -> None:
    def draw(top: float) -> str:
        return line_panel([Series("a", "c", [1, 2], [1, top])], x_label="x", describe="d")

    assert "log scale" in draw(1000) and "log scale" not in draw(10)


def test_text_is_escaped() -> None:
    svg = line_panel([Series("<img onerror=x>", "c", [1], [1])], x_label="<b>", describe='"<i>')
    ElementTree.fromstring(svg)
    assert "<img" not in svg and "<b>" not in svg and "<i>" not in svg


def test_distributions_count_what_lies_outside() -> None:
    values = np.concatenate([np.linspace(0, 1, 1000), [1e6, math.nan]])
    for kind in ("histogram", "cumulative"):
        svg, outside = distribution_panel(
            [("a", "c", values)], x_label="x", kind=kind, describe="d"
        )
        assert 1 <= outside <= 12
        assert "nan" not in svg and "1.00e+06" not in svg


def test_a_constant_or_empty_distribution_is_drawn() -> None:
    for values in ([3.0] * 5, [], [math.nan]):
        svg, outside = distribution_panel(
            [("a", "c", values)], x_label="x", kind="histogram", describe="d"
        )
        assert outside == 0 and "nan" not in svg


def _pixels(address: str) -> np.ndarray:
    raw = base64.b64decode(address.split(",")[1])
    width, height = struct.unpack(">II", raw[16:24])
    start = raw.index(b"IDAT")
    size = struct.unpack(">I", raw[start - 4 : start])[0]
    lines = zlib.decompress(raw[start + 4 : start + 4 + size])
    return np.frombuffer(lines, np.uint8).reshape(height, width + 1)[:, 1:]


def test_heat_map_orders_values_and_marks_missing_ones() -> None:
    pixels = _pixels(heat_map([[0, 1, 2], [math.nan, 4, 3]], 0, 4))
    assert pixels.tolist() == [[0, 64, 127], [255, 254, 190]]
    assert max(_pixels(heat_map(np.zeros((1000, 700)), 0, 1)).shape) <= 256
    with pytest.raises(FewstepError, match="wrong shape"):
        heat_map([1.0, 2.0], 0, 1)


def test_a_packed_trace_can_be_unpacked() -> None:
    points = np.random.default_rng(0).normal(size=(40, 3)) * [5, 1, 2] + 100
    scene, notes = pack_scene(points, "trace")
    packed = np.frombuffer(base64.b64decode(scene["points"]), "<i2").reshape(-1, 3)
    centre = (points.max(0) + points.min(0)) / 2
    half = np.abs(points - centre).max()
    np.testing.assert_allclose(packed / 32767 * half + centre, points, atol=half / 30000)
    assert notes == [] and scene["breaks"] == []


def test_missing_points_break_the_chain_and_are_counted() -> None:
    points = np.arange(30.0).reshape(10, 3)
    points[4] = math.nan
    scene, notes = pack_scene(points, "trace", np.linspace(0, 1, 10))
    assert scene["count"] == 9 and scene["breaks"] == [4]
    assert notes == ["1 of 10 points are n/a and not shown"]
    assert len(base64.b64decode(scene["colour"])) == 9


def test_a_large_cloud_is_thinned_with_a_note() -> None:
    points = np.random.default_rng(0).normal(size=(5000, 3))
    scene, notes = pack_scene(points, "cloud", limit=1000)
    assert scene["count"] == 1000 and notes == ["1,000 of 5,000 points shown"]
    assert pack_scene(points, "cloud", limit=1000)[0] == scene, "the choice must be repeatable"


@pytest.mark.parametrize(
    ("points", "colour", "match"),
    [
        ([[1.0, 2.0]], None, "wrong points"),
        ([[1.0, 2.0, 3.0]], [0.1, 0.2], "wrong colours"),
        ([[math.nan] * 3], None, "no finite point"),
    ],
)
def test_bad_scenes_are_refused(points: list, colour: list | None, match: str) -> None:
    with pytest.raises(FewstepError, match=match):
        pack_scene(points, "trace", colour)
