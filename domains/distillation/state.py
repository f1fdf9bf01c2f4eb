"""Training state on disk: atomic, checked by hash, the one before kept as a fall-back."""

import hashlib
import json
import logging
import shutil
from pathlib import Path
from typing import Any

import torch

from domains.provenance import atomic_path, sha256, write_text

__all__ = ["StateDirectory", "claim"]

_log = logging.getLogger(__name__)
_KEPT = 2


def claim(directory: Path, settings: dict[str, Any]) -> None:
    """Make sure that a directory's state belongs to these settings.

    State of other settings is never resumed and never lost: it is moved aside.

    Args:
        directory: State, log and curves of a training.
        settings: Everything that decides the result; plain JSON.
    """
    owner = directory / "settings.json"
    text = json.dumps(settings, indent=1, sort_keys=True) + "\n"
    found = owner.read_text(encoding="utf-8") if owner.exists() else text
    if found != text:
        name = hashlib.sha256(found.encode()).hexdigest()[:8]
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
        """Write the state of ``step``, then forget all but the last two."""
        path = self.directory / f"step-{step:09d}.pt"
        with atomic_path(path) as temporary:
            torch.save(state, temporary)
            digest = sha256(temporary)
        write_text(path.with_suffix(".sha256"), digest + "\n")
        for old in self._paths()[:-_KEPT]:
            old.unlink(missing_ok=True)
            old.with_suffix(".sha256").unlink(missing_ok=True)

    def load(self) -> dict[str, Any] | None:
        """Return the newest state that is whole, or None; damaged ones are reported."""
        for unfinished in self.directory.glob(".step-*"):
            unfinished.unlink(missing_ok=True)  # left by a process that was killed
        for path in reversed(self._paths()):
            try:
                recorded = path.with_suffix(".sha256").read_text(encoding="utf-8").strip()
                if recorded == sha256(path):
                    return torch.load(path, map_location="cpu", weights_only=True)
                found = "does not match its checksum"
            except OSError as error:
                found = f"has no readable checksum ({error.strerror})"
            _log.warning("%s %s; falling back to the checkpoint before it", path, found)
        return None

    def _paths(self) -> list[Path]:
        return sorted(self.directory.glob("step-*.pt"))
