"""Contract: a directory has one owner at a time, and a dead owner is none."""

import errno
import fcntl
import logging
import os
from pathlib import Path

import pytest

from domains.distillation.training.state import claim
from domains.errors import FewstepError
from domains.files.lock import exclusive


def test_a_held_directory_is_refused_and_says_by_whom(tmp_path: Path) -> None:
    directory = tmp_path / "a b"
    with exclusive(directory):
        assert directory.is_dir()
        with pytest.raises(FewstepError, match=rf"a b: got process {os.getpid()} on"):
            exclusive(directory).__enter__()
        with exclusive(tmp_path / "other"):
            pass
    with exclusive(directory):
        pass
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == []


def test_the_lock_of_a_killed_process_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / ".out.lock").write_text("process 1 on elsewhere")
    with exclusive(tmp_path / "out"):
        assert str(os.getpid()) in (tmp_path / ".out.lock").read_text()


def test_an_error_ends_the_lock(tmp_path: Path) -> None:
    for _ in range(2):
        with pytest.raises(ZeroDivisionError), exclusive(tmp_path / "out"):
            raise ZeroDivisionError


def test_leftovers_are_removed_and_nothing_else(tmp_path: Path) -> None:
    for name in (".a.pdb.k3_x9abc", ".snakemake_timestamp", "a.pdb.k3_x9abc", "index.csv"):
        (tmp_path / name).touch()
    with exclusive(tmp_path):
        kept = {path.name for path in tmp_path.iterdir()}
    assert kept == {".snakemake_timestamp", "a.pdb.k3_x9abc", "index.csv"}


def test_a_lock_that_was_just_given_back_is_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its file is gone, and a third process could lock another one of its name."""
    real = fcntl.flock

    def late(file: object, operation: int) -> None:
        (tmp_path / ".out.lock").unlink()
        real(file, operation)  # type: ignore[arg-type]

    monkeypatch.setattr(fcntl, "flock", late)
    with pytest.raises(FewstepError, match="just ended"):
        exclusive(tmp_path / "out").__enter__()


def test_without_locks_there_is_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def unsupported(*_: object) -> None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    monkeypatch.setattr(fcntl, "flock", unsupported)
    with caplog.at_level(logging.WARNING), exclusive(tmp_path / "out"):
        pass
    assert "no locks here" in caplog.text


def test_a_directory_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for name in ("file", "file/inside"):
        with pytest.raises(FewstepError, match="can't write"):
            exclusive(tmp_path / name).__enter__()


def test_a_claim_is_exclusive(tmp_path: Path) -> None:
    """Also while it moves the state of other settings aside."""
    with claim(tmp_path / "state", {"steps": 1}):
        pass
    with claim(tmp_path / "state", {"steps": 2}):
        assert list(tmp_path.glob("state.superseded-*"))
        with pytest.raises(FewstepError, match="another run"):
            claim(tmp_path / "state", {"steps": 2}).__enter__()
