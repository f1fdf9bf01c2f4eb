"""Contract: an error is one line that says what is wrong, what was expected, what to do."""

import pytest

from domains.errors import FewstepError


@pytest.mark.parametrize(
    ("parts", "line"),
    [
        ({}, "wrong thing."),
        ({"expected": 1}, "wrong thing: expected 1."),
        ({"got": 0}, "wrong thing: got 0."),
        ({"expected": "a", "got": "b"}, "wrong thing: expected a, got b."),
        ({"got": "b", "do": "Mend it"}, "wrong thing: got b. Mend it."),
        ({"do": "Mend it."}, "wrong thing. Mend it."),
    ],
)
def test_line(parts: dict, line: str) -> None:
    assert str(FewstepError("wrong thing", **parts)) == line


@pytest.mark.parametrize("text", ["two\nlines", "a\r\nb", "tab\tand\x0bothers", "a b", " "])
def test_line_is_one_line(text: str) -> None:
    line = str(FewstepError(f"wrong {text} thing", expected=text, got=text, do=text))
    assert len(line.splitlines()) == 1


@pytest.mark.parametrize("value", [10**5000, "x" * 10_000], ids=["digits", "letters"])
def test_long_values_are_cut(value: object) -> None:
    assert len(str(FewstepError("wrong", expected=value, got=value))) < 1000


def test_commands_of_a_terminal_are_shown_and_not_done() -> None:
    assert str(FewstepError("a\x1b[2J\u202eb")) == r"a\x1b[2J\u202eb."


def test_full_stop_is_not_doubled() -> None:
    assert str(FewstepError("this is wrong.")) == "this is wrong."
