"""Contract: each text of the settings comes back from the run's files as it was, or is refused."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from tiny_matrix import matrix_content
from tiny_run import content, write_config

from domains.config import load_config, load_matrix, parse_config, parse_matrix
from domains.errors import FewstepError
from domains.settings import Config

PLACES: dict[str, Callable[[str], dict[str, Any]]] = {
    "title": lambda text: {"title": text},
    "notes": lambda text: {"notes": text},
    "label": lambda text: {"sets": {"data": {"label": text}}},
    "teacher": lambda text: {"teacher": text},
    "path": lambda text: {"data": {"path": text}},
}
# Of each kind one: of Unicode's other controls, separators, surrogates, what is no character.
LOST = ("\0", "\x7f", "\x80", "\x85", "\x9f", "\u2028", "\u2029", "\ud800", "\ufffe", "\uffff")


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
@pytest.mark.parametrize("character", LOST, ids=lambda one: f"U+{ord(one):04X}")
def test_what_no_file_keeps_is_refused(
    tmp_path: Path, place: Callable[[str], dict[str, Any]], character: str
) -> None:
    changes = place(f"a{character}b")
    with pytest.raises(FewstepError, match=rf"U\+{ord(character):04X}") as error:
        parse_config(content(**changes))
    assert len(str(error.value).splitlines()) == 1 and str(error.value).isprintable()
    escaped = f'"a\\u{ord(character):04X}b"'
    write_config(tmp_path / "run.yaml", **place("HERE"))
    text = (tmp_path / "run.yaml").read_text().replace("HERE", escaped)
    (tmp_path / "run.yaml").write_text(text)
    with pytest.raises(FewstepError):
        load_config(tmp_path / "run.yaml")


class Text(Config):
    """Settings that are one text."""

    text: str


def allowed() -> str:
    """All of the first 65,536 characters that settings take, and some beyond."""
    found = []
    for code in [*range(0x10000), 0x1F9EC, 0x1FFFE, 0x10FFFF]:
        with suppress(ValidationError):
            found.append(Text.model_validate({"text": chr(code)}).text)
    return "".join(found)


def test_every_other_character_comes_back(tmp_path: Path) -> None:
    text, path = f"a{allowed()}b", tmp_path / "config.json"
    assert len(text) > 60_000 and "\x1b" in text and "\n" in text
    for place in PLACES.values():
        run = parse_config(content(**place(text)))
        path.write_text(run.model_dump_json(indent=1), encoding="utf-8")
        assert load_config(path) == run


def test_a_matrix_too(tmp_path: Path) -> None:
    with pytest.raises(FewstepError, match=r"U\+0085"):
        parse_matrix(matrix_content(title="a\x85b"))
    path = tmp_path / "matrix.json"
    matrix = parse_matrix(matrix_content(title="\x1b \t\n\r\ufeff\u202e"))
    path.write_text(matrix.model_dump_json(indent=1), encoding="utf-8")
    assert load_matrix(path) == matrix
