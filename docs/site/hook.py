"""Hooks of MkDocs: what pages link to outside docs/ joins the site, under repository/."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files, InclusionLevel
from mkdocs.structure.pages import Page
from pymdownx.slugs import slugify
from pymdownx.superfences import fence_code_format

ROOT = Path(__file__).parents[2]
PLACE = "repository/"
LINK = re.compile(r"(\]\()([^)\s#:]+)((?:#[^)\s]*)?\))")


def on_config(config: Any) -> Any:
    """Give headings GitHub's anchors, and draw Mermaid's diagrams."""
    options = config["mdx_configs"]
    options.setdefault("toc", {})["slugify"] = slugify(case="lower")
    mermaid = {"name": "mermaid", "class": "mermaid", "format": fence_code_format}
    options.setdefault("pymdownx.superfences", {})["custom_fences"] = [mermaid]
    return config


def on_files(files: Files, config: Any) -> Files:
    """Add the files outside docs/ that pages link to, and those that these link to."""
    waiting = [file for file in files if file.is_documentation_page()]
    while waiting:
        page = waiting.pop()
        source = repository_path(page.src_uri)
        for path in outside(source, (ROOT / source).read_text(encoding="utf-8")):
            if files.get_file_from_path(PLACE + path) is None:
                options = {"abs_src_path": str(ROOT / path), "inclusion": InclusionLevel.NOT_IN_NAV}
                added = File.generated(config, PLACE + path, **options)
                files.append(added)
                waiting += [added] if added.is_documentation_page() else []
    return files


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Point links at where their targets stand in the site."""
    home = os.path.dirname(page.file.src_uri) or "."
    source = repository_path(page.file.src_uri)

    def moved(link: re.Match[str]) -> str:
        path = target(source, link[2])
        if path is None or (path.startswith("docs/") and source.startswith("docs/")):
            return link[0]
        there = path.removeprefix("docs/") if path.startswith("docs/") else PLACE + path
        return link[1] + os.path.relpath(there, home) + link[3]

    return LINK.sub(moved, markdown)


def repository_path(src_uri: str) -> str:
    """Return the path in the repository of a file of the site."""
    return src_uri.removeprefix(PLACE) if src_uri.startswith(PLACE) else f"docs/{src_uri}"


def target(source: str, link: str) -> str | None:
    """Return the path in the repository that a link of a page names, if a file is there."""
    path = os.path.normpath(os.path.join(os.path.dirname(source), link))
    return path if not path.startswith("..") and (ROOT / path).is_file() else None


def outside(source: str, text: str) -> Iterator[str]:
    """Yield the files outside docs/ that a page links to."""
    for link in LINK.finditer(text):
        path = target(source, link[2])
        if path is not None and not path.startswith("docs/"):
            yield path
