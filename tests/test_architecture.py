"""Contract: architecture.md's picture is that of the code, and the places it names are there."""

import re
from pathlib import Path

from studies.import_graph import PAGE, arrows, drawn

ROOT = Path(__file__).parents[1]


def test_the_drawn_imports_are_those_of_the_code() -> None:
    page = (ROOT / PAGE).read_text(encoding="utf-8")
    assert "graph TD" in page and page == drawn(page), "run python -m studies.import_graph"


def test_the_picture_has_no_circle() -> None:
    later = {first: {b for a, b in arrows() if a == first} for first, _ in arrows()}

    def reached(room: str, seen: tuple[str, ...]) -> None:
        assert room not in seen, f"{' → '.join(seen)} → {room}"
        for other in later.get(room, ()):
            reached(other, (*seen, room))

    for room in later:
        reached(room, ())


def test_places_that_the_page_names_are_there() -> None:
    page = (ROOT / PAGE).read_text(encoding="utf-8")
    named = set(re.findall(r"`((?:domains|distillation|evaluation|stages|config)/[\w/.]+)`", page))
    roots = (ROOT, ROOT / "domains")
    assert len(named) > 15
    assert not [name for name in named if not any((root / name).exists() for root in roots)]
