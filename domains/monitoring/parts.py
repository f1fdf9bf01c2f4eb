"""State of a job (done, running, failed, …), from the files that it leaves."""

import os
import time
from dataclasses import dataclass
from pathlib import Path

from domains.files.lock import holder_lives
from domains.files.regular import check_regular

__all__ = ["QUIET", "STATES", "Part"]

# Most urgent first.
STATES = ("failed", "killed", "running", "quiet", "waiting", "done")
# Without a lock of this machine, a job that wrote nothing for longer is not called running.
QUIET = 600.0
_TAIL = 65536
_TRACEBACK = "Traceback (most recent call last)"


@dataclass(frozen=True)
class Part:
    """A job as its files show it.

    Attributes:
        product: What it writes last.
        log: What it says; Snakemake removes it when the job is tried again.
        work: Directory that it writes in, and locks (see ``domains.files.lock``).
    """

    product: Path
    log: Path
    work: Path

    @property
    def error(self) -> str:
        """The line that it failed with; empty if its log has none."""
        try:
            check_regular(self.log)
            with self.log.open("rb") as stream:
                stream.seek(max(0, os.fstat(stream.fileno()).st_size - _TAIL))
                lines = stream.read().decode("utf-8", "replace").splitlines()
        except OSError:
            return ""
        said = [line for line in lines if line.startswith("fewstep: ")]
        if not said and any(_TRACEBACK in line for line in lines):
            said = [line for line in lines if line.strip()]
        return said[-1].removeprefix("fewstep: ") if said else ""

    @property
    def sign(self) -> float | None:
        """When it last wrote something, in seconds since 1970; None if it never has."""
        found = [_changed(path) for path in (self.log, self.work, self.work / "state")]
        return max((moment for moment in found if moment is not None), default=None)

    @property
    def state(self) -> str:
        """One of ``STATES``.

        Started is what has a log. ``running``: its lock names a living process of this machine,
        or it wrote something in the last ``QUIET`` seconds. ``killed``: its lock names a process
        of this machine that is gone. ``quiet``: neither, so it is slow, or was killed elsewhere.
        """
        if self.product.exists():
            return "done"
        if self.error:
            return "failed"
        if not self.log.exists():
            return "waiting"
        alive = holder_lives(self.work)
        if alive is not None:
            return "running" if alive else "killed"
        return "running" if time.time() - (self.sign or 0) < QUIET else "quiet"


def _changed(path: Path) -> float | None:
    try:
        return path.stat().st_mtime
    except OSError:
        return None
