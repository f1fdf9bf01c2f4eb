"""Elements of an SVG figure, as escaped text."""

from collections.abc import Sequence

from markupsafe import Markup, escape

__all__ = ["svg", "tag"]


def tag(name: str, *children: str, **attributes: object) -> Markup:
    """Return one element; attributes and plain-text children are escaped."""
    pairs = [
        Markup(' {}="{}"').format(Markup(key.rstrip("_").replace("_", "-")), value)
        for key, value in attributes.items()
    ]
    body = Markup("").join(escape(child) for child in children)
    return Markup("<{0}{1}>{2}</{0}>").format(Markup(name), Markup("").join(pairs), body)


def svg(parts: Sequence[str], width: int, height: int, describe: str) -> Markup:
    """Return a figure of a size that the page may scale; ``describe`` is for screen readers."""
    box, role = f"0 0 {width} {height}", "img"
    return tag("svg", *parts, viewBox=box, role=role, class_="panel", aria_label=describe)
