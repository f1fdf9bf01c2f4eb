"""Pages of Markdown: their links, headings, and the commands that they tell a reader to run."""

import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["ROOT", "Command", "anchors", "broken_links", "commands", "pages"]

ROOT = Path(__file__).parents[1]
_FENCE = re.compile(r"^( *)(```+)([\w.-]*)[^\n]*\n(.*?)^\1\2 *$", re.M | re.S)
_INDENTED = re.compile(r"(?:\n\n|\A)( {4,8}\S.*\n(?: {4,}\S.*\n|\n(?= {4,}\S))*)")
_COMMENT = re.compile(r"<!--.*?-->", re.S)
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_INLINE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
_SHELL = ("", "bash", "sh", "console")
PROGRAMS = ("fewstep", "snakemake", "make", "python", "pip", "mkdocs", "pytest")


@dataclass(frozen=True)
class Command:
    """A command of a page.

    Args:
        page: The page's path in the repository.
        words: Its words, as a shell would part them.
        whole: Whether it stands in a block, so that nothing may be missing in it.
    """

    page: str
    words: tuple[str, ...]
    whole: bool


def pages() -> list[Path]:
    """Pages that git tracks or would add."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "*.md"]
    listing = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if listing.returncode == 0:
        found = [ROOT / name for name in listing.stdout.split("\0") if name]
    else:
        places = ("*.md", "docs/**/*.md", "domains/**/*.md", "tests/**/*.md")
        found = [path for place in places for path in ROOT.glob(place)]
    return sorted(path for path in found if path.is_file())


def anchors(page: Path) -> set[str]:
    """Anchors that GitHub gives a page's headings."""
    text = _FENCE.sub("\n", page.read_text(encoding="utf-8"))
    found: set[str] = set()
    for heading in re.findall(r"^#+ +(.+?) *#*$", text, re.M):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "").replace("*", "")
        slug = re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-")
        number = 0
        while (one := f"{slug}-{number}" if number else slug) in found:
            number += 1
        found.add(one)
    return found


def broken_links(page: Path) -> Iterator[str]:
    """Say which relative links of a page lead nowhere."""
    for link in _LINK.findall(_COMMENT.sub("", _FENCE.sub("\n", page.read_text("utf-8")))):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = Path(os.path.normpath(page.parent / path)) if path else page
        if not target.exists():
            yield f"{link}: no such file"
        elif anchor and target.suffix == ".md" and anchor not in anchors(target):
            yield f"{link}: no such heading"


def commands(page: Path) -> Iterator[Command]:
    """Find the commands of fewstep, Snakemake, make, Python and pip on a page."""
    name, text = page.relative_to(ROOT).as_posix(), page.read_text(encoding="utf-8")
    for block in _blocks(text):
        for line in _lines(block):
            words = _words(line)
            if words and words[0] in PROGRAMS:
                yield Command(name, words, True)
    for inline in _INLINE.findall(_FENCE.sub("\n", text)):
        words = _words(inline)
        if len(words) > 1 and words[0] in PROGRAMS:
            yield Command(name, words, False)


def _blocks(text: str) -> Iterator[str]:
    """Yield blocks of shell, fenced or indented."""
    for found in _FENCE.finditer(text):
        if found[3] in _SHELL:
            yield found[4]
    for found in _INDENTED.finditer(_FENCE.sub("\n", text)):
        yield found[1]


def _lines(block: str) -> list[str]:
    """Lines of a block, joined where a backslash ends one, with its own variables filled in."""
    known: dict[str, str] = {}
    lines = []
    for line in re.sub(r" *\\\n *", " ", block).splitlines():
        line = line.strip().removeprefix("$ ")
        if given := re.fullmatch(r"(?:export )?(\w+)=(\S+)", line):
            known[given[1]] = given[2]
        for key, value in known.items():
            line = line.replace(f"${key}", value)
        lines += line.split(" && ")
    return lines


def _words(line: str) -> tuple[str, ...]:
    """Words of a command without comments, variables before it and redirections after it."""
    try:
        words = shlex.split(line, comments=True)
    except ValueError:
        return ()
    while words and (re.fullmatch(r"\w+=\S*", words[0]) or words[0] in ("srun", "nohup", "time")):
        words = words[1:]
    ends = [n for n, word in enumerate(words) if word in ("|", ">", ">>", "&", ";", "||")]
    return tuple(words[: ends[0]] if ends else words)
