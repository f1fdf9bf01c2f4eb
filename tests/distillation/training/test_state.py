"""Contract: a damaged checkpoint is never used, and the one before it always is."""

import logging
import os
import random
from contextlib import suppress
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch
from damage import flip, truncate

from domains.distillation.training.state import StateDirectory, claim
from domains.errors import FewstepError
from domains.files.provenance import sha256


def saved(directory: Path, steps: int) -> StateDirectory:
    states = StateDirectory(directory)
    for step in range(1, steps + 1):
        states.save(step, {"done": step, "weights": torch.full((9,), float(step))})
    return states


def newest(directory: Path) -> Path:
    return max(directory.glob("step-*.pt"))


def test_nothing_saved_is_none(tmp_path: Path):
    assert StateDirectory(tmp_path / "none").load() is None


def test_the_newest_is_loaded_and_two_are_kept(tmp_path: Path):
    state = saved(tmp_path, 12).load()
    assert state is not None and state["done"] == 12 and (state["weights"] == 12).all()
    names = [f"step-{step:09d}.{kind}" for step in (11, 12) for kind in ("pt", "sha256")]
    assert sorted(path.name for path in tmp_path.iterdir()) == names


def lose_checksum(path: Path) -> None:
    path.with_suffix(".sha256").unlink()


def empty(path: Path) -> None:
    path.write_bytes(b"")


def flip_checksum(path: Path) -> None:
    """The highest bit of a letter: the file is no text any more."""
    content = path.with_suffix(".sha256").read_bytes()
    path.with_suffix(".sha256").write_bytes(bytes([content[0] ^ 128]) + content[1:])


def pipe_checksum(path: Path) -> None:
    """To open it would wait for ever."""
    path.with_suffix(".sha256").unlink()
    os.mkfifo(path.with_suffix(".sha256"))


def sign(path: Path) -> None:
    path.with_suffix(".sha256").write_text(sha256(path) + "\n")


def garbage(path: Path) -> None:
    path.write_bytes(random.randbytes(3000))
    sign(path)


def signed_cut(path: Path) -> None:
    truncate(path)
    sign(path)


DAMAGES = [truncate, flip, lose_checksum, empty, flip_checksum, pipe_checksum, garbage, signed_cut]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_state_falls_back_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, damage
):
    states = saved(tmp_path, 5)
    damage(newest(tmp_path))
    with caplog.at_level(logging.WARNING):
        state = states.load()
    assert state is not None and state["done"] == 4
    assert "step-000000005.pt" in caplog.text and "falling back" in caplog.text


def test_all_damaged_is_none(tmp_path: Path):
    states = saved(tmp_path, 3)
    for path in tmp_path.glob("*.pt"):
        truncate(path)
    assert states.load() is None


def test_a_damaged_state_can_be_written_again(tmp_path: Path):
    states = saved(tmp_path, 5)
    truncate(newest(tmp_path))
    states.save(5, {"done": 5})
    assert states.load() == {"done": 5}


def test_remains_of_a_killed_write_are_removed(tmp_path: Path):
    states = saved(tmp_path, 2)
    remains = [".step-000000003.pt.k3_x9abc", ".fewstep-part-0123456789abcdef"]
    mine = [".step-by-step", ".step-notes.k3_x9abc", "step-notes.pt"]
    for name in (*remains, *mine):
        (tmp_path / name).write_bytes(b"half")
    assert states.load() is not None
    states.save(3, {"done": 3})
    assert {path.name for path in tmp_path.iterdir() if path.suffix != ".sha256"} == {
        *mine,
        "step-000000002.pt",
        "step-000000003.pt",
    }


def test_code_in_a_state_is_not_run(tmp_path: Path):
    states = StateDirectory(tmp_path)
    states.save(1, {"done": 1, "code": Path("x")})
    with pytest.raises(FewstepError, match="Weights only"):
        states.load()
    assert (tmp_path / "step-000000001.pt").exists()


def test_a_whole_state_of_another_kind_falls_back(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    states = saved(tmp_path, 5)

    def check(state: dict) -> None:
        if state["done"] > 3:
            raise ValueError("it is of another objective")

    with pytest.raises(FewstepError, match=r"can be taken up.*of another objective") as error:
        states.load(check)
    assert len(str(error.value).splitlines()) == 1
    assert len(list(tmp_path.glob("*.pt"))) == 2
    (tmp_path / "step-000000005.pt").write_bytes((tmp_path / "step-000000004.pt").read_bytes())
    torch.save({"done": 3}, tmp_path / "step-000000004.pt")
    for path in tmp_path.glob("*.pt"):
        sign(path)
    assert states.load(check) == {"done": 3}
    assert "another objective" in caplog.text and "falling back" in caplog.text


def put(directory: Path, settings: dict, step: int) -> None:
    with claim(directory, settings):
        StateDirectory(directory / "state").save(step, {"done": step})
        (directory / "log.csv").write_text(f"step\n{step}\n")


def held(directory: Path, settings: dict) -> dict | None:
    with claim(directory, settings):
        return StateDirectory(directory / "state").load()


def everything(root: Path) -> list[str]:
    """Content of all logs: what a training has made."""
    return sorted(path.read_text() for path in root.rglob("log.csv"))


A, B = {"steps": 10}, {"steps": 20}


def test_state_of_other_settings_is_moved_aside(tmp_path: Path) -> None:
    directory = tmp_path / "student"
    put(directory, A, 5)
    assert held(directory, A) == {"done": 5}
    assert held(directory, B) is None
    (aside,) = tmp_path.glob("student.superseded-*")
    assert StateDirectory(aside / "state").load() == {"done": 5}


def test_settings_that_come_back_find_their_state(tmp_path: Path) -> None:
    directory = tmp_path / "student"
    for number, settings in enumerate((A, B, A, B, A), 1):
        state = held(directory, settings)
        assert state == ({"done": number - 2} if number > 2 else None)
        put(directory, settings, number)
        assert len(list(tmp_path.iterdir())) == min(number, 2)
    assert everything(tmp_path) == ["step\n4\n", "step\n5\n"]


def test_nothing_aside_is_ever_replaced(tmp_path: Path) -> None:
    """Another version of this program has left a directory of that name."""
    directory = tmp_path / "student"
    put(directory, A, 1)
    assert held(directory, B) is None
    (aside,) = tmp_path.glob("student.superseded-*")
    kept = tmp_path / "kept"
    aside.rename(kept)
    put(directory, A, 2)
    kept.rename(aside)
    assert held(directory, A) == {"done": 2}
    put(directory, B, 3)
    assert everything(tmp_path) == ["step\n1\n", "step\n2\n", "step\n3\n"]


def test_a_move_that_was_cut_off_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At each rename, in both directions; what was asked for next is either of the settings."""
    real = Path.rename
    for last, (cut, then) in product(range(8), [(A, A), (A, B), (B, A), (B, B)]):
        directory, calls = tmp_path / f"{last}{cut}{then}" / "student", []
        put(directory, A, 1)
        put(directory, B, 2)
        if cut == B:
            put(directory, A, 1)

        def rename(path: Path, target: Path, calls: list = calls, last: int = last) -> Path:
            if len(calls) == last:
                raise KeyboardInterrupt
            calls.append(path)
            return real(path, target)

        monkeypatch.setattr(Path, "rename", rename)
        with suppress(KeyboardInterrupt):
            held(directory, cut)
        monkeypatch.setattr(Path, "rename", real)
        assert held(directory, then) == {"done": 1 if then == A else 2}
        assert held(directory, B if then == A else A) == {"done": 2 if then == A else 1}
        assert everything(directory.parent) == ["step\n1\n", "step\n2\n"]


def test_a_state_that_does_not_say_whose_it_is_is_moved_aside(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    directory = tmp_path / "student"
    for number in (1, 2):
        put(directory, A, number)
        (directory / "settings.json").unlink()
        assert held(directory, A) is None
    assert "nobody knows" in caplog.text
    assert everything(tmp_path) == ["step\n1\n", "step\n2\n"]


def test_what_is_no_part_of_a_training_stays_where_it_is(tmp_path: Path) -> None:
    directory = tmp_path / "mine"
    directory.mkdir()
    for name in ("run.yaml", ".env.template"):
        (directory / name).write_text("mine")
    put(directory, A, 1)
    put(directory, B, 2)
    assert (directory / "run.yaml").read_text() == (directory / ".env.template").read_text()
    assert held(directory, A) == {"done": 1}


def test_a_link_leads_to_the_same_state(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "disk")
    put(tmp_path / "link", A, 1)
    put(tmp_path / "link", B, 2)
    assert (tmp_path / "link").is_symlink()
    assert held(tmp_path / "disk", A) == {"done": 1}
    assert held(tmp_path / "link", B) == {"done": 2}


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_an_owner_that_is_no_file_is_one_line(tmp_path: Path, make: Any) -> None:
    put(tmp_path / "student", A, 1)
    (tmp_path / "student/settings.json").unlink()
    make(tmp_path / "student/settings.json")
    with pytest.raises(FewstepError, match=r"can't read .*settings\.json"):
        held(tmp_path / "student", A)


def test_what_a_killed_process_did_not_forget_is_forgotten(tmp_path: Path) -> None:
    states = saved(tmp_path, 4)
    for step in (1, 2):
        torch.save({"done": step}, tmp_path / f"step-{step:09d}.pt")
    truncate(newest(tmp_path))
    assert states.load()["done"] == 3  # type: ignore[index]
    kept = [f"step-00000000{step}.{kind}" for step in (2, 3, 4) for kind in ("pt", "sha256")]
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        n for n in kept if n != "step-000000002.sha256"
    ]
