"""Contract: a damaged checkpoint is never used, and the one before it always is."""

import logging
from pathlib import Path

import pytest
import torch

from domains.distillation.training.state import StateDirectory, claim


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


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def lose_checksum(path: Path) -> None:
    path.with_suffix(".sha256").unlink()


def empty(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize("damage", [truncate, flip, lose_checksum, empty])
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
    remains = tmp_path / ".step-000000003.pt.abcd"
    remains.write_bytes(b"half")
    assert states.load() is not None
    assert not remains.exists()


def test_code_in_a_state_is_not_run(tmp_path: Path):
    states = StateDirectory(tmp_path)
    states.save(1, {"done": 1, "code": Path("x")})
    with pytest.raises(Exception, match="Weights only"):
        states.load()


def test_state_of_other_settings_is_moved_aside(tmp_path: Path) -> None:
    directory = tmp_path / "student"
    with claim(directory, {"steps": 10}):
        StateDirectory(directory / "state").save(5, {"done": 5})
    with claim(directory, {"steps": 10}):
        assert StateDirectory(directory / "state").load() == {"done": 5}
    with claim(directory, {"steps": 20}):
        assert StateDirectory(directory / "state").load() is None
    (aside,) = tmp_path.glob("student.superseded-*")
    assert StateDirectory(aside / "state").load() == {"done": 5}


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
