"""Errors that a user can act on: one line, exit code 2, no traceback."""

__all__ = ["FewstepError"]

_MOST_SHOWN = 400  # characters of what was expected or found


class FewstepError(Exception):
    """A problem in what the user gave, or in what the machine allows.

    Args:
        wrong: What is wrong, naming the file, option or quantity.
        expected: What would have been right.
        got: What was found.
        do: What to do next, one imperative sentence or a question.
    """

    def __init__(self, wrong: str, *, expected: object = None, got: object = None, do: str = ""):
        line = wrong
        if expected is not None:
            line += f": expected {_shown(expected)}"
        if got is not None:
            line += f"{',' if expected is not None else ':'} got {_shown(got)}"
        line = line.rstrip(".") + "."
        if do:
            line += f" {do}" if do.endswith("?") else f" {do.rstrip('.')}."
        # What a name in a hostile file says to a terminal is shown and not done.
        line = "".join(c if c.isprintable() else repr(c)[1:-1] for c in " ".join(line.split()))
        super().__init__(line)


def _shown(value: object) -> str:
    """Return the first characters of a value's text."""
    try:
        return str(value)[:_MOST_SHOWN]
    except (ValueError, RecursionError):  # Python writes out no number of thousands of digits.
        return f"a huge {type(value).__name__}"
