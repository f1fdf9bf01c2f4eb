"""HTML pages that open offline: one file with style, script and data inside."""

import base64
import hashlib
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from domains.evaluation.report.axis import format_number
from domains.evaluation.statistics.sets import ROLES
from domains.files.aside import make_way
from domains.files.provenance import package_versions, write_text

__all__ = ["download", "render", "write_page"]

_BEGINNING = '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta name="generator" content="fewstep">'

_ASSETS = Path(__file__).parent / "assets"
_SCRIPTS = ("page.js", "geometry.js", "painters.js", "viewer.js")  # one script in this order


def render(template: str, *, title: str, notes: str, **content: Any) -> str:
    """Return a page.

    Args:
        template: Name of a template that extends ``page.html``.
        title: Title of the page.
        notes: Plain text for the reader; blank lines part paragraphs.
        content: What else the template shows.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_ASSETS),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["number"] = format_number
    # The file's end newline is part of what a browser hashes for the script policy.
    script = "".join((_ASSETS / name).read_text(encoding="utf-8") for name in _SCRIPTS)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return environment.get_template(template).render(
        **content,
        title=title,
        notes=[part for part in notes.split("\n\n") if part.strip()],
        versions=package_versions(),
        script=Markup(script),
        script_hash=digest,
        roles=ROLES,
        style=Markup((_ASSETS / "report.css").read_text(encoding="utf-8")),
    )


def download(text: str) -> str:
    """Return the address of a CSV file that the page holds."""
    return "data:text/csv;charset=utf-8;base64," + base64.b64encode(text.encode()).decode()


def write_page(path: Path, page: str) -> None:
    """Write a page that ``render`` made, atomically; what is no page of ours moves aside."""
    make_way(path, _BEGINNING)
    write_text(path, page)
