"""Training state on disk: atomic, checked by hash, the one before kept as a fall-back."""

import hashlib
import json
import logging
import re
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from domains.errors import FewstepError
from domains.files.aside import free_name
from domains.files.lock import exclusive
from domains.files.provenance import atomic_path, remove_parts, sha256, write_text
from domains.files.regular import check_regular, read_regular
from domains.files.safe_archive import check_archive
from domains.memory import out_of_memory

__all__ = ["OF_A_TRAINING", "StateDirectory", "claim", "settings_hash"]

_log = logging.getLogger(__name__)

_OWNER = "settings.json"
# What a training keeps in its directory. Its owner's name goes last when it is moved aside and
# comes first when it is taken up: killed in between, the next run knows whose the rest is.
OF_A_TRAINING = ("curves", "log.csv", "state", _OWNER)
# ``atomic_path`` of earlier versions.
_EARLIER_PART = re.compile(r"\.step-\d{9}\.(pt|sha256)\.[a-z0-9_]{8}")


@contextmanager
def claim(directory: Path, settings: dict[str, Any]) -> Generator[None, None, None]:
    """Hold a directory for one training; its state belongs to these settings.

    State of other settings is never resumed and never lost: it is moved aside, and taken up
    again when its settings come back. So is state that does not say whose it is.

    Args:
        directory: State, log and curves of a training.
        settings: Everything that decides the result; plain JSON.

    Raises:
        FewstepError: Another training is at work in the directory, or its owner can't be read.
    """
    with exclusive(directory):
        # By a link, what is moved aside would land on another disk.
        directory = Path(directory).resolve()
        text = _text(settings)
        _put_others_aside(directory, text.encode())
        _take_up(directory, text.encode())
        write_text(directory / _OWNER, text)
        yield


def settings_hash(settings: dict[str, Any]) -> str:
    """Return the sha256 of what decides a training, which each of its checkpoints carries."""
    return hashlib.sha256(_text(settings).encode()).hexdigest()


def _text(settings: dict[str, Any]) -> str:
    return json.dumps(settings, indent=1, sort_keys=True) + "\n"


def _put_others_aside(directory: Path, wanted: bytes) -> None:
    """Move a training of other or unknown settings out of the directory."""
    held = [name for name in OF_A_TRAINING if (directory / name).exists()]
    owner = _owner(directory)
    if owner == wanted or not held:
        return
    if owner is None:
        aside, whose = free_name(directory, "superseded-unknown"), "nobody knows which settings"
    else:
        aside, whose = _aside(directory, owner), "other settings"
        if any((aside / name).exists() for name in held):
            aside = free_name(directory, f"superseded-{_mark(owner)}")
    aside.mkdir(exist_ok=True)
    for name in held:
        (directory / name).rename(aside / name)
    _log.warning("state of %s: training starts anew; the old state is in %s", whose, aside)


def _take_up(directory: Path, wanted: bytes) -> None:
    """Bring back what an earlier training of these settings has left aside."""
    aside, ours = _aside(directory, wanted), _owner(directory)
    theirs = _owner(aside) if aside.is_dir() else None
    # Without a name it is the rest of a move that was cut off, if the name is already here.
    if theirs != wanted and not (aside.is_dir() and theirs is None and ours == wanted):
        return
    back = [name for name in OF_A_TRAINING if (aside / name).exists()]
    if any((directory / name).exists() for name in back):
        return
    for name in reversed(back):
        (aside / name).rename(directory / name)
    if not any(aside.iterdir()):
        aside.rmdir()
    _log.warning("these settings again: training goes on with the state that was in %s", aside)


def _owner(directory: Path) -> bytes | None:
    """Return the settings that a directory's training is of; None if it does not say."""
    owner = directory / _OWNER
    try:
        check_regular(owner)
        return owner.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise FewstepError(
            f"can't read {owner}", got=error.strerror, do="Move it away, or name another --state"
        ) from error


def _aside(directory: Path, settings: bytes) -> Path:
    return directory.with_name(f"{directory.name}.superseded-{_mark(settings)}")


def _mark(settings: bytes) -> str:
    return hashlib.sha256(settings).hexdigest()[:8]


class StateDirectory:
    """Numbered checkpoints of one run.

    Args:
        directory: Where they are; it belongs to one run.
    """

    def __init__(self, directory: Path):
        self.directory = Path(directory)

    def save(self, step: int, state: dict[str, Any]) -> None:
        """Write the state of ``step``, then forget all but it and the one before."""
        path = self.directory / f"step-{step:09d}.pt"
        with atomic_path(path) as temporary:
            _write(temporary, state)
            digest = sha256(temporary)
        write_text(path.with_suffix(".sha256"), digest + "\n")
        self._forget_before(path)

    def load(self, check: Callable[[Any], None] = lambda _: None) -> dict[str, Any] | None:
        """Return the newest state that is whole, or None; damaged ones are reported.

        Args:
            check: Raises an error for a state of another training.

        Raises:
            FewstepError: Some are whole, and none of them is of this training.
        """
        self._remove_parts()
        foreign = ""
        for path in reversed(self._paths()):
            fault = _damage(path)
            if not fault:
                try:
                    # Nothing that is in it is executed.
                    check_archive(path)
                    state = torch.load(path, map_location="cpu", weights_only=True)
                    check(state)
                except Exception as error:  # A file of somebody else can fail anywhere.
                    if out_of_memory(error):
                        raise
                    fault = foreign = f"is no state of this training ({str(error)[:200]})"
                else:
                    self._forget_before(path)
                    return state
            _log.warning("%s %s; falling back to the checkpoint before it", path, fault)
        if foreign:
            raise FewstepError(
                f"no checkpoint in {self.directory} can be taken up",
                got=f"one that {foreign}",
                do="Move this directory away to start anew, or bring back its own files",
            )
        if self._paths():
            _log.warning("no checkpoint in %s is whole: training starts anew", self.directory)
        return None

    def _remove_parts(self) -> None:
        """Remove what a process that was killed has left half written."""
        remove_parts(self.directory)
        for path in self.directory.glob(".step-*"):
            if _EARLIER_PART.fullmatch(path.name) and path.is_file() and not path.is_symlink():
                path.unlink(missing_ok=True)

    def _forget_before(self, path: Path) -> None:
        """Remove what is older than a whole state and the one before it."""
        for old in [other for other in self._paths() if other < path][:-1]:
            old.with_suffix(".sha256").unlink(missing_ok=True)
            old.unlink(missing_ok=True)

    def _paths(self) -> list[Path]:
        paths = [path for path in self.directory.glob("step-*.pt") if path.is_file()]
        return sorted(path for path in paths if re.fullmatch(r"step-\d{9,12}", path.stem))


def _damage(path: Path) -> str:
    """Describe the damage of a checkpoint's file or checksum; empty if it is whole."""
    try:
        recorded = read_regular(path.with_suffix(".sha256")).strip()
        return "" if recorded == sha256(path) else "does not match its checksum"
    except OSError as error:
        return f"has no readable checksum ({error.strerror})"
    except UnicodeDecodeError:
        return "has no readable checksum (it is no text)"


def _write(path: Path, state: dict[str, Any]) -> None:
    """Write a state, and let an error of the disk be one: torch makes it a RuntimeError."""
    try:
        with path.open("wb") as stream:
            torch.save(state, stream)
    except RuntimeError as error:
        if isinstance(error.__context__, OSError):
            raise error.__context__ from error
        raise
