"""Contract: a date ahead is seen, of a file, a directory, a link, and Snakemake's own mark."""

import os
import time
from pathlib import Path

import pytest

from domains.files.clock import date_ahead

AHEAD = 4e9


@pytest.mark.parametrize("seconds", [-1e9, 0, 30, 3600])
def test_a_minute_is_allowed(tmp_path: Path, seconds: float) -> None:
    date = time.time() + seconds
    (tmp_path / "a").touch()
    os.utime(tmp_path / "a", (date, date))
    found = date_ahead(tmp_path / "a")
    assert found == (pytest.approx(date) if seconds > 60 else None)


def test_what_counts(tmp_path: Path) -> None:
    assert date_ahead(tmp_path / "nothing") is None and date_ahead("a\0b") is None
    (tmp_path / "a").mkdir()
    (tmp_path / "link").symlink_to("a")
    assert date_ahead(tmp_path / "link") is None
    os.utime(tmp_path / "link", (AHEAD, AHEAD), follow_symlinks=False)
    assert date_ahead(tmp_path / "link") == AHEAD and date_ahead(tmp_path / "a") is None
    (tmp_path / "a/.snakemake_timestamp").touch()
    os.utime(tmp_path / "a/.snakemake_timestamp", (AHEAD + 1, AHEAD + 1))
    assert date_ahead(tmp_path / "a") == AHEAD + 1
