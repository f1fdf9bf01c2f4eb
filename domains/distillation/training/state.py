"""Training state on disk: atomic, checked by hash, the one before kept as a fall-back."""

import hashlib
import json
import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from domains.files.lock import exclusive
from domains.files.provenance import atomic_path, sha256, write_text

__all__ = ["StateDirectory", "claim"]

_log = logging.getLogger(__name__)


@contextmanager
def claim(directory: Path, settings: dict[str, Any]) -> Iterator[None]:
    """Hold a directory for one training; its state belongs to these settings.

    State of other settings is never resumed and never lost: it is moved aside.

    Args:
        directory: State, log and curves of a training.
        settings: Everything that decides the result; plain JSON.

    Raises:
        FewstepError: Another training is at work in the directory.
    """
    with exclusive(directory):
        _put_others_aside(directory, settings)
        yield


def _put_others_aside(directory: Path, settings: dict[str, Any]) -> None:
    owner = directory / "settings.json"
    text = json.dumps(settings, indent=1, sort_keys=True) + "\n"
    found = owner.read_bytes() if owner.exists() else text.encode()
    if found != text.encode():
        name = hashlib.sha256(found).hexdigest()[:8]
        aside = directory.with_name(f"{directory.name}.superseded-{name}")
        shutil.rmtree(aside, ignore_errors=True)
        directory.replace(aside)
        _log.warning("other settings: training starts anew; the old state is in %s", aside)
    write_text(owner, text)


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

    def load(self) -> dict[str, Any] | None:
        """Return the newest state that is whole, or None; damaged ones are reported."""
        for unfinished in self.directory.glob(".step-*"):
            unfinished.unlink(missing_ok=True)  # left by a process that was killed
        for path in reversed(self._paths()):
            try:
                recorded = path.with_suffix(".sha256").read_text(encoding="utf-8").strip()
                if recorded == sha256(path):
                    self._forget_before(path)
                    return torch.load(path, map_location="cpu", weights_only=True)
                found = "does not match its checksum"
            except OSError as error:
                found = f"has no readable checksum ({error.strerror})"
            _log.warning("%s %s; falling back to the checkpoint before it", path, found)
        if self._paths():
            _log.warning("no checkpoint in %s is whole: training starts anew", self.directory)
        return None

    def _forget_before(self, path: Path) -> None:
        """Remove what is older than a whole state and the one before it."""
        for old in [other for other in self._paths() if other < path][:-1]:
            old.with_suffix(".sha256").unlink(missing_ok=True)
            old.unlink(missing_ok=True)

    def _paths(self) -> list[Path]:
        return sorted(self.directory.glob("step-*.pt"))


def _write(path: Path, state: dict[str, Any]) -> None:
    """Write a state, and let an error of the disk be one: torch makes it a RuntimeError."""
    try:
        with path.open("wb") as stream:
            torch.save(state, stream)
    except RuntimeError as error:
        if isinstance(error.__context__, OSError):
            raise error.__context__ from error
        raise
