"""Contract: what fuzzing has once found is refused in one line; see README.md.

A file is called after its reader and what it did.
"""

from pathlib import Path

import pytest
from hostile.readers import READERS, attempt, nothing_runs

CORPUS = sorted((Path(__file__).parent / "corpus").iterdir())


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.name)
def test_findings(tmp_path: Path, path: Path) -> None:
    name = path.name.partition("-")[0]
    assert name in READERS and path.stat().st_size < 5000
    attempt(name, path.read_bytes(), tmp_path)  # what is imported late is imported now
    with nothing_runs():
        assert attempt(name, path.read_bytes(), tmp_path)
