"""Errors that a user can act on: one line, exit code 2, no traceback."""

__all__ = ["FewstepError"]


class FewstepError(Exception):
    """A problem in what the user gave, or in what the machine allows.

    Args:
        wrong: What is wrong, naming the file, option or quantity.
        expected: What would have been right.
        got: What was found.
        do: What to do next, one imperative sentence.
    """

    def __init__(self, wrong: str, *, expected: object = None, got: object = None, do: str = ""):
        line = wrong
        if expected is not None:
            line += f": expected {expected}"
        if got is not None:
            line += f"{',' if expected is not None else ':'} got {got}"
        line = line.rstrip(".") + "."
        if do:
            line += f" {do.rstrip('.')}."
        super().__init__(" ".join(line.split()))
