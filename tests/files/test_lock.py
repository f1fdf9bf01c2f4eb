"""Contract: a directory has one owner at a time, and a dead owner is none."""

import errno
import fcntl
import logging
import os
from pathlib import Path
from typing import Any

import pytest

from domains.distillation.training.state import claim
from domains.errors import FewstepError
from domains.files.lock import exclusive, holder_lives
from domains.files.provenance import atomic_path


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
    (tmp_path / ".out.fewstep-lock").write_text("process 1 on elsewhere")
    with exclusive(tmp_path / "out"):
        assert str(os.getpid()) in (tmp_path / ".out.fewstep-lock").read_text()


def test_an_error_ends_the_lock(tmp_path: Path) -> None:
    for _ in range(2):
        with pytest.raises(ZeroDivisionError), exclusive(tmp_path / "out"):
            raise ZeroDivisionError


@pytest.mark.parametrize("way", ["link", "a/..", "link/a/..", "nested/link"])
def test_a_directory_is_the_same_by_whatever_path(tmp_path: Path, way: str) -> None:
    directory = tmp_path / "out"
    (directory / "a").mkdir(parents=True)
    (tmp_path / "nested").mkdir()
    for link in ("link", "nested/link"):
        (tmp_path / link).symlink_to(directory)
    other = directory / way if way.startswith("a/") else tmp_path / way
    with exclusive(directory):
        with pytest.raises(FewstepError, match="another run is at work"):
            exclusive(other).__enter__()
        assert holder_lives(other)
    with exclusive(other), pytest.raises(FewstepError, match="another run is at work"):
        exclusive(directory).__enter__()
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_a_parent_that_may_not_be_written_is_no_obstacle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk may be mounted as the directory."""
    real = os.open

    def forbidden(path: Any, flags: int, *rest: Any) -> int:
        if Path(path).parent == tmp_path and flags & os.O_CREAT:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return real(path, flags, *rest)

    monkeypatch.setattr(os, "open", forbidden)
    with exclusive(tmp_path / "out"):
        assert holder_lives(tmp_path / "out")
        with pytest.raises(FewstepError, match="another run is at work"):
            exclusive(tmp_path / "out").__enter__()
    assert not list((tmp_path / "out").iterdir())


HIDDEN = (".gitignore.original", ".env.template", ".a.pdb.k3_x9abc", ".out.lock")


def test_leftovers_are_removed_and_nothing_of_a_user(tmp_path: Path) -> None:
    ours = ".fewstep-part-0123456789abcdef"
    kept = {*HIDDEN, ".snakemake_timestamp", "a.pdb.k3_x9abc", "index.csv", f"{ours}.txt"}
    kept |= {".fewstep-part-notes-of-mine", ours.upper()}
    out = tmp_path / "out"
    out.mkdir()
    for name in (*kept, ours):
        (out / name).write_text("mine")
    (tmp_path / ".out.lock").write_text("mine")
    with exclusive(out):
        assert {path.name for path in out.iterdir()} == kept
    assert all((out / name).read_text() == "mine" for name in kept)
    assert (tmp_path / ".out.lock").read_text() == "mine"


def test_only_files_are_leftovers(tmp_path: Path) -> None:
    names = [f".fewstep-part-{k:016d}" for k in range(3)]
    (tmp_path / "mine").write_text("mine")
    (tmp_path / "out").mkdir()
    directory, link, pipe = (tmp_path / "out" / name for name in names)
    (directory / "a").mkdir(parents=True)
    link.symlink_to(tmp_path / "mine")
    os.mkfifo(pipe)
    with exclusive(tmp_path / "out"):
        assert {path.name for path in (tmp_path / "out").iterdir()} == set(names)


def test_what_a_writer_leaves_half_written_is_a_leftover(tmp_path: Path) -> None:
    """A killed process runs no ``finally``."""
    with atomic_path(tmp_path / "out/index.csv") as temporary:
        temporary.write_text("half")
        (tmp_path / "out" / f".fewstep-part-{0:016x}").write_bytes(temporary.read_bytes())
        name = temporary.name
    assert len(name) == len(f".fewstep-part-{0:016x}")
    with exclusive(tmp_path / "out"):
        assert [path.name for path in (tmp_path / "out").iterdir()] == ["index.csv"]


def test_a_link_in_the_place_of_the_lock_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    (tmp_path / ".out.fewstep-lock").symlink_to(tmp_path / "mine")
    with pytest.raises(FewstepError, match="can't write"):
        exclusive(tmp_path / "out").__enter__()
    assert (tmp_path / "mine").read_text() == "mine"


def test_a_lock_that_was_just_given_back_is_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its file is gone, and a third process could lock another one of its name."""
    real = fcntl.flock

    def late(file: object, operation: int) -> None:
        (tmp_path / ".out.fewstep-lock").unlink()
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
