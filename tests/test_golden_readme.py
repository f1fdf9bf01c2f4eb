"""Contract: tests/golden/README.md says of every golden file what it is, and names none besides."""

import re
from fnmatch import fnmatch
from pathlib import Path

GOLDEN = Path(__file__).parent / "golden"


def patterns() -> set[str]:
    """Files that the first column of a table names, with wildcards."""
    lines = (GOLDEN / "README.md").read_text(encoding="utf-8").splitlines()
    rows = [line.split("|")[1] for line in lines if line.startswith("| `")]
    return {name for row in rows for name in re.findall(r"`([^`]+)`", row)}


def files() -> set[str]:
    every = (path for path in GOLDEN.rglob("*") if path.is_file() and path.name != "README.md")
    return {path.relative_to(GOLDEN).as_posix() for path in every}


def test_every_file_is_described() -> None:
    assert [name for name in files() if not any(fnmatch(name, one) for one in patterns())] == []


def test_every_description_has_its_files() -> None:
    assert [one for one in patterns() if not any(fnmatch(name, one) for name in files())] == []
