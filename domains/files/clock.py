"""Dates of files that lie ahead: of another machine's clock, or of an archive."""

import os
import time
from pathlib import Path

__all__ = ["date_ahead"]

_SLACK = 60.0  # seconds by which the clocks of a cluster may differ


def date_ahead(path: str | Path) -> float | None:
    """Return when a file or directory says that it was changed, if that is yet to come.

    Args:
        path: What Snakemake compares by its date, and a link by its own and its target's.

    Returns:
        Seconds since 1970; None for what is of the past, or is not there.
    """
    dates = []
    for place, follow in ((path, True), (path, False), (Path(path, ".snakemake_timestamp"), True)):
        try:
            dates.append(os.stat(place, follow_symlinks=follow).st_mtime)
        except (OSError, ValueError):
            continue
    latest = max(dates, default=0.0)
    return latest if latest > time.time() + _SLACK else None
