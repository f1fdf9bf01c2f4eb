"""Contract: the report is one offline file, honest, complete and safe.

A NaN is written "n/a";
text from files never becomes markup or script; nothing is loaded from elsewhere; and in a
real browser the page runs without errors and draws every 3-D scene.
"""

import math
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from evaluation.report_files import METRICS, write_set

from domains.errors import FewstepError
from domains.evaluation.report.build import build_report

EVIL = "</script><img src=x onerror=alert(1)>{{ 7*7 }}"


class _Page(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def _build(tmp_path: Path, **options: Any) -> str:
    root = tmp_path / "evaluation"
    paths = [
        write_set(root, "t", "teacher", 0.9, steps=400, seconds=10.0),
        write_set(root, "d", "data", 0.95, steps=None, seconds=None),
        write_set(root, "n", "teacher_naive", 0.1),
        write_set(root, "s1", "student", math.nan, steps=1, label=EVIL, link="set.csv"),
        write_set(root, "s4", "student", 0.8, link="javascript:alert(1)"),
    ]
    log = tmp_path / "log.csv"
    log.write_text("step,seconds,loss,<b>note\n0,0,1,a\n1,2,nan,b\n2,3,,c\n3,4,0.5,d\n")
    published = pd.DataFrame(
        [
            {
                "run": "Paper " + EVIL,
                "metric": "good",
                "value": 0.97,
                "source": "https://example.org/paper",
            },
            {"run": "Other", "metric": "far", "value": 1.5, "source": "javascript:alert(2)"},
        ]
    )
    output = tmp_path / "out" / "report.html"
    given: dict[str, Any] = {
        "title": "A " + EVIL,
        "published": published,
        "training_log": log,
        "notes": "Note " + EVIL,
        "metrics": METRICS,
    } | options
    build_report(paths, output, **given)
    return output.read_text(encoding="utf-8")


def test_every_section_and_number_is_there(tmp_path: Path) -> None:
    text = _build(tmp_path)
    names = {attrs.get("id") for _, attrs in _Page(text).elements}
    assert {
        "results",
        "steps",
        "distributions",
        "maps",
        "gallery",
        "training",
        "provenance",
        "downloads",
    } <= names
    assert "n/a for good" in text and "1 values n/a" in text
    assert "Share of good samples." in text
    assert len(text.encode()) < 3_000_000
    assert not list((tmp_path / "out").glob(".*")), "a temporary file was left"


def test_the_best_generated_set_is_marked_not_the_paper(tmp_path: Path) -> None:
    text = _build(tmp_path)
    row = re.search(r'<tr class="r-teacher">.*?</tr>', text, re.S)
    paper = re.findall(r'<tr class="r-(?:published|data)">.*?</tr>', text, re.S)
    assert row and 'class="num best" data-sort="0.9"' in row[0]
    assert len(paper) == 3 and not any("num best" in one for one in paper)


def test_text_from_files_stays_inert(tmp_path: Path) -> None:
    text = _build(tmp_path)
    page = _Page(text)
    assert EVIL in "".join(page.words), "the label must be shown as it is, not evaluated"
    scripts = [attrs for tag, attrs in page.elements if tag == "script"]
    assert len(scripts) == 2 and text.count("</script>") == 2
    for tag, attrs in page.elements:
        assert not any(name.startswith("on") for name in attrs), tag
        assert not (attrs.get("href") or "").lower().startswith("javascript:")
        if tag == "img":
            assert (attrs["src"] or "").startswith("data:image/png;base64,")


def test_nothing_is_loaded_from_elsewhere(tmp_path: Path) -> None:
    text = _build(tmp_path)
    for tag, attrs in _Page(text).elements:
        for name in ("src", "href", "srcset", "data", "action", "poster"):
            value = attrs.get(name) or ""
            outside = "//" in value and not value.startswith("data:")
            assert not outside or (tag == "a" and value == "https://example.org/paper"), value
    assert "@import" not in text and "url(" not in text
    assert "default-src 'none'" in text


def test_links_go_only_to_files_that_exist(tmp_path: Path) -> None:
    links = [attrs["href"] for tag, attrs in _Page(_build(tmp_path)).elements if tag == "a"]
    assert "./../evaluation/s1/set.csv" in links
    assert not any("alert" in (link or "") for link in links)


def test_the_same_input_gives_the_same_page(tmp_path: Path) -> None:
    first = _build(tmp_path / "a")
    assert first == _build(tmp_path / "b")


def test_a_page_replaces_its_like_and_moves_others_aside(tmp_path: Path) -> None:
    path, page = write_set(tmp_path, "s", "student"), tmp_path / "r.html"
    page.write_text("<!DOCTYPE html>\n<html>mine</html>")
    for title in ("one", "two"):
        build_report([path], page, title=title)
    assert "<title>two" in page.read_text()
    assert (tmp_path / "r.html.other").read_text().endswith("mine</html>")
    assert len(list(tmp_path.glob("r.html*"))) == 2


def test_a_single_bare_set_gives_a_page(tmp_path: Path) -> None:
    path = write_set(tmp_path, "s", "student")
    (path / "samples.csv").unlink()
    (path / "gallery.json").unlink()
    build_report([path], tmp_path / "r.html", title="t")
    assert "nothing to compare" in (tmp_path / "r.html").read_text()


def test_what_says_which_sample_it_is_has_no_histogram(tmp_path: Path) -> None:
    """A name such as 000123 reads like a number."""
    path = write_set(tmp_path, "s", "student")
    table = pd.read_csv(path / "samples.csv")
    named = table.assign(name=[f"{k:06d}" for k in range(len(table))], shard="0000", measure=1.5)
    named.to_csv(path / "samples.csv", index=False)
    build_report([path], tmp_path / "r.html", title="t", metrics=METRICS)
    text = (tmp_path / "r.html").read_text()
    shown = set(re.findall('Histogram of ([^"<]+)', text))
    assert {"Size", "measure"} <= shown
    assert not shown & {"name", "shard", "file", "steps", "noise_scale", "seed", "sample"}


def test_differences_of_tool_and_size_are_told(tmp_path: Path) -> None:
    paths = [
        write_set(tmp_path, "t", "teacher", tool="slow", seeds=(0,)),
        write_set(tmp_path, "s", "student", tool="fast", n=7),
    ]
    build_report(paths, tmp_path / "r.html", title="t", metrics=METRICS)
    text = (tmp_path / "r.html").read_text()
    assert "not computed with one tool" in text and "n = 7, 20" in text and "single seed" in text


@pytest.mark.parametrize(
    ("name", "content", "match"),
    [
        ("set.json", "{", "is no JSON"),
        ("set.json", '{"role": "boss"}', "unknown role"),
        ("set.csv", "metric,value\na,1\n", "wrong columns"),
        ("set.csv", "", "can't read the table"),
        ("gallery.json", '{"matrices": [{"title": "m", "values": [[1], [1, 2]]}]}', "wrong array"),
        ("gallery.json", '{"scenes": [{"kind": "mesh", "points": []}]}', "unknown scene"),
    ],
)
def test_malformed_files_are_refused(tmp_path: Path, name: str, content: str, match: str) -> None:
    path = write_set(tmp_path, "s", "student")
    (path / name).write_text(content)
    with pytest.raises(FewstepError, match=match):
        build_report([path], tmp_path / "r.html", title="t")
    assert not (tmp_path / "r.html").exists()


def test_no_set_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FewstepError, match="no evaluated set"):
        build_report([], tmp_path / "r.html", title="t")


def _browse(page: Path, profile: Path, width: int = 1280) -> tuple[str, str]:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("Chromium is not installed, so the page can't be run")
    flags = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--enable-logging=stderr",
        "--virtual-time-budget=5000",
        f"--window-size={width},9000",
        "--enable-unsafe-swiftshader",
        f"--user-data-dir={profile}",
        "--dump-dom",
    ]
    done = subprocess.run(
        [chromium, *flags, page.as_uri()], capture_output=True, text=True, timeout=90, check=False
    )
    return done.stdout, done.stderr


def test_wide_tables_scroll_and_the_page_does_not(tmp_path: Path) -> None:
    """A script of the test says how wide it is, which the page's own rules would forbid."""
    page = tmp_path / "r.html"
    text = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", _build(tmp_path))
    said = "document.body.dataset.wider = String(page.scrollWidth - page.clientWidth)"
    script = f"<script>{{ const page = document.documentElement; {said}; }}</script>"
    page.write_text(text.replace("</body>", f"{script}</body>"))
    assert 'data-wider="0"' in _browse(page, tmp_path / "profile", 600)[0]


@pytest.mark.parametrize("attribute", ["", " data-no-webgl"], ids=["webgl", "canvas"])
def test_a_browser_draws_every_scene_without_errors(tmp_path: Path, attribute: str) -> None:
    page = tmp_path / "out" / "report.html"
    text = _build(tmp_path)
    page.write_text(text.replace('<html lang="en">', f'<html lang="en"{attribute}>'))
    dom, log = _browse(page, tmp_path / "profile")
    root = re.search(r"<html[^>]*>", dom)
    assert root and 'data-viewer="ok"' in root[0], root
    assert f'data-scenes-drawn="{dom.count("<canvas")}"' in root[0]
    assert "data-errors" not in root[0]
    assert "<img src=x" not in dom
    complaints = [
        line
        for line in log.splitlines()
        if "CONSOLE" in line and "WebGL" not in line and "GL Driver" not in line
    ]
    assert complaints == []


def test_a_slider_shows_another_cloud_and_a_row_turns_together(tmp_path: Path) -> None:
    page = tmp_path / "r.html"
    text = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", _build(tmp_path))
    script = """addEventListener("load", () => {
      const figure = document.querySelector("figure.wide"), said = document.body.dataset;
      said.before = figure.querySelector("output").textContent;
      figure.querySelector('[data-stop="1"]').click();
      said.after = figure.querySelector("output").textContent;
      said.place = figure.querySelector("input").value;
      const turns = () => new Set(views.filter((v) => v.row === views[0].row).map((v) => v.turn));
      figure.querySelector("canvas").dispatchEvent(
        new KeyboardEvent("keydown", { key: "ArrowLeft", bubbles: true }));
      said.turns = turns().size;
    });"""
    page.write_text(text.replace("</body>", f"<script>{script}</script></body>"))
    dom, _ = _browse(page, tmp_path / "profile")
    found = dict(re.findall(r'data-(before|after|place|turns)="([^"]*)"', dom))
    assert found["before"] != found["after"] and found["place"] == "1"
    assert found["turns"] == "1"
