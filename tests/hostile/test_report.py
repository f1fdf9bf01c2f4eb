"""Contract: text that gets into a report stays text.

Whatever a title, note, label, caption, link, metric, column or fact says, the page has the same
elements with the same attributes as one that says something harmless, and the same scripts.
"""

import csv
import json
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from domains.evaluation.report.build import build_report
from domains.evaluation.statistics.sets import Metric

HARMLESS = "words"
PAYLOADS = {
    "a script": "<script>alert(1)</script>",
    "an end of script": "</script><script>alert(1)</script>",
    "an end of script in capitals": "</SCRIPT ><script>alert(1)</script>",
    "an image": "<img src=x onerror=alert(1)>",
    "a drawing": "<svg/onload=alert(1)>",
    "an end of drawing": "</title></svg><script>alert(1)</script>",
    "a frame": "<iframe srcdoc='<script>alert(1)</script>'></iframe>",
    "an event after a double quote": '" onmouseover="alert(1)',
    "an event after a single quote": "' onfocus='alert(1)' autofocus='",
    "an event after a backtick": "` onclick=alert(1) `",
    "an end of title": "</title><script>alert(1)</script>",
    "an end of style": "</style><script>alert(1)</script>",
    "a style": "x;background:url(//example.org)}</style>",
    "a comment that opens": "<!--<script>",
    "a comment that closes": "--><script>alert(1)</script>",
    "a section that closes": "]]><script>alert(1)</script>",
    "a base": "<base href=//example.org/>",
    "a redirection": "<meta http-equiv=refresh content=0;url=//example.org>",
    "a link": "<a href=javascript:alert(1)>x</a>",
    "an address that runs": "javascript:alert(1)",
    "an address that runs, disguised": "\tjAvA\nScRiPt:alert(1)",
    "an address that holds a page": "data:text/html,<script>alert(1)</script>",
    "an address with an event": 'https://example.org/" onclick="alert(1)',
    "a path out of the directory": "../../../../../etc/passwd",
    "a template": "{{ 7*7 }}{% for x in () %}{{ self.__init__.__globals__ }}",
    "a Python format": "{0.__class__} %s %(x)s",
    "entities": "&lt;script&gt;alert(1)&lt;/script&gt;&#60;b&#62;",
    "separators that end a line of JavaScript": "\u2028alert(1)\u2029",
    "JSON": '"},{"kind":"cloud"}],"x":["\\',
    "text from right to left": "\u202e<script>",
    "a formula of a spreadsheet": "=HYPERLINK(\"http://example.org\")",
}  # fmt: skip


class Skeleton(HTMLParser):
    """Elements and the names of their attributes; addresses, scripts and text apart."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, tuple[str, ...]]] = []
        self.addresses: list[str] = []
        self.scripts: list[str] = []
        self.text = ""
        self.inside = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.inside = tag
        self.elements.append((tag, tuple(name for name, _ in attrs)))
        self.addresses += [value or "" for name, value in attrs if name in ("href", "src")]

    def handle_endtag(self, tag: str) -> None:
        self.inside = ""

    def handle_data(self, data: str) -> None:
        if self.inside == "script":
            self.scripts.append(data)
        else:
            self.text += data


def write_set(path: Path, text: str) -> Path:
    """Write the files of a set in which every text is ``text``."""
    path.mkdir(parents=True)
    facts = {"run": text, "role": "student", "label": text, "steps": 4, "tool": text, "note": text}
    (path / "set.json").write_text(json.dumps(facts | {"versions": {"torch": text}}))
    row = dict.fromkeys(("run", "domain", "role", "seeds", "tool"), text) | {"metric": text}
    row |= {"steps": 4, "noise_scale": 0.5, "value": 1.0, "low": 0.9, "high": 1.1, "n": 3}
    pd.DataFrame([row, row | {"metric": "good"}]).to_csv(path / "set.csv", index=False)
    values = [1.0, 2.0, 3.0]
    table = pd.DataFrame({"sample": [0, 1, 2], "good": values, f"{text}2": values, "file": text})
    table.to_csv(path / "samples.csv", index=False)
    points = np.arange(12.0).reshape(4, 3).tolist()
    scene = {"title": text, "caption": text, "kind": "trace", "points": points, "link": text}
    matrices = [{"title": text, "values": [[0, 1], [2, 3]]}]
    (path / "gallery.json").write_text(json.dumps({"scenes": [scene], "matrices": matrices}))
    return path


def build(root: Path, text: str) -> str:
    """Build a report in which every text is ``text``."""
    log = root / "log.csv"
    published = {"run": text, "metric": "good", "value": 1.0, "source": text}
    (root / "a").mkdir(parents=True)
    with log.open("w", newline="") as stream:
        csv.writer(stream).writerows([["step", f"{text}3"], [1, 0.5], [2, 0.25]])
    build_report(
        [write_set(root / "a/set", text)],
        root / "report.html",
        title=text,
        published=pd.DataFrame([published]),
        training_log=log,
        notes=text,
        metrics={"good": Metric(text, text, "higher")},
    )
    return (root / "report.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def harmless(tmp_path_factory: pytest.TempPathFactory) -> Skeleton:
    return Skeleton(build(tmp_path_factory.mktemp("harmless"), HARMLESS))


@pytest.mark.parametrize("text", PAYLOADS.values(), ids=PAYLOADS)
def test_text_changes_no_element(tmp_path: Path, harmless: Skeleton, text: str) -> None:
    page = Skeleton(build(tmp_path, text))
    source = ("a", ("href", "rel"))  # a published source may be an address
    assert [element for element in page.elements if element != source] == harmless.elements
    assert page.elements.count(source) == text.startswith("https://")
    assert page.scripts == harmless.scripts
    assert " ".join(text.split()) in " ".join(page.text.split())
    safe = ("#", "data:image/png;base64,", "data:text/csv;", "data:,", "https://example.org/")
    assert all(address.startswith(safe) for address in page.addresses)


def test_the_harmless_page_has_a_script_and_scenes(harmless: Skeleton) -> None:
    """Else the table above would prove nothing."""
    assert len(harmless.scripts) == 2 and json.loads(harmless.scripts[0])
    tags = {tag for tag, _ in harmless.elements}
    assert {"canvas", "table", "svg", "img", "title", "style"} <= tags
