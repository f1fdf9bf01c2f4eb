"""Contract: a file is the old one or the whole new one, never a part; records hold versions."""

import errno
import hashlib
import json
import os
import random
from pathlib import Path

import pytest

from domains.errors import FewstepError
from domains.files.provenance import (
    atomic_directory,
    atomic_path,
    record,
    sha256,
    write_json,
    write_text,
)


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def test_text_is_written_with_its_directories(tmp_path: Path) -> None:
    write_text(tmp_path / "a/b/c.txt", "größer\n")
    assert (tmp_path / "a/b/c.txt").read_bytes() == "größer\n".encode()
    assert names(tmp_path / "a/b") == ["c.txt"]


@pytest.mark.parametrize("failure", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_old_file_survives_a_failure(tmp_path: Path, failure: type[BaseException]) -> None:
    path = tmp_path / "file"
    write_text(path, "old")

    def fail() -> None:
        with atomic_path(path) as temporary:
            temporary.write_text("half of the n")
            raise failure

    with pytest.raises(failure):
        fail()
    assert path.read_text() == "old"
    assert names(tmp_path) == ["file"]


def test_full_disk_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(FewstepError, match="No space left on device"):
        write_text(tmp_path / "file", "text")
    assert names(tmp_path) == []


def test_file_in_the_place_of_a_directory_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(FewstepError, match="can't write"):
        write_text(tmp_path / "file/inside", "text")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_json_holds_no_nan(tmp_path: Path, value: float) -> None:
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "file.json", {"value": value})
    assert names(tmp_path) == []


@pytest.mark.parametrize("umask", [0o022, 0o002, 0o027, 0o077, 0o000])
def test_permissions_are_those_of_the_umask(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        write_json(tmp_path / "file.json", {"a": [1]})
        with atomic_directory(tmp_path / "made") as made:
            write_text(made / "a", "text")
        with atomic_path(tmp_path / "other") as temporary:
            temporary.unlink()  # as writers do that make a file of their own
            os.close(os.open(temporary, os.O_CREAT, 0o600))
    finally:
        os.umask(before)
    for name in ("file.json", "made/a", "other"):
        assert (tmp_path / name).stat().st_mode & 0o777 == 0o666 & ~umask
    assert (tmp_path / "made").stat().st_mode & 0o777 == 0o777 & ~umask
    assert json.loads((tmp_path / "file.json").read_text()) == {"a": [1]}


def test_a_name_may_be_as_long_as_the_file_system_takes(tmp_path: Path) -> None:
    write_text(tmp_path / ("a" * 255), "text")
    assert names(tmp_path) == ["a" * 255]


def test_a_pipe_has_no_checksum(tmp_path: Path) -> None:
    """To open it would wait for ever."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="not a file"):
        sha256(tmp_path / "pipe")


def test_sha256_agrees_with_hashlib(tmp_path: Path) -> None:
    content = random.randbytes(3_000_000)
    (tmp_path / "file").write_bytes(content)
    assert sha256(tmp_path / "file") == hashlib.sha256(content).hexdigest()


def test_record_holds_facts_and_versions() -> None:
    found = record(seed=1)
    assert found["seed"] == 1
    assert {"fewstep", "python", "torch", "numpy"} <= set(found["versions"])
