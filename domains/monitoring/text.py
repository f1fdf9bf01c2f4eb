"""Plain text for people: tables, durations."""

from collections.abc import Sequence

__all__ = ["duration", "plain", "table"]

_UNITS = ((86400, "d"), (3600, "h"), (60, "min"))


def plain(text: str) -> str:
    """Replace control characters, which a terminal might obey, by "?"."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def duration(seconds: float | None) -> str:
    """Return seconds in the largest unit of which there are two; empty for None."""
    if seconds is None:
        return ""
    for size, unit in _UNITS:
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(0, seconds):.0f} s"


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return left-aligned columns, those that are empty left out."""
    used = [k for k in range(len(header)) if any(row[k] for row in rows)]
    lines = [[plain(row[k]) for k in used] for row in (header, *rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    pairs = [zip(line, widths, strict=True) for line in lines]
    return "\n".join("  ".join(c.ljust(w) for c, w in line).rstrip() for line in pairs)
