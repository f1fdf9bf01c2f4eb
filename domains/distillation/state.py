"""Training state on disk: atomic, checked by hash, the one before kept as a fall-back."""

import logging
from pathlib import Path
from typing import Any

import torch

from domains.provenance import atomic_path, sha256, write_text

__all__ = ["StateDirectory"]

_log = logging.getLogger(__name__)
_KEPT = 2


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
