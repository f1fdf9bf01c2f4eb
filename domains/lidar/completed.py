"""A completion as a person looks at it: the scan's points marked, and both side by side."""

from pathlib import Path

import numpy as np
from jaxtyping import Float32

from domains.files.provenance import atomic_path
from domains.lidar.files.ply import serialize_marked
from domains.lidar.pictures import bird_eye, write_png

__all__ = ["write_completed"]

# Grey for what was seen, blue for what was not: told apart by colour-blind people too.
_SCANNED, _COMPLETED = (150, 150, 150), (0, 114, 178)


def write_completed(
    directory: Path,
    name: str,
    completed: Float32[np.ndarray, "n 3"],
    scan: Float32[np.ndarray, "s 3"],
    with_scan: bool = True,
) -> list[str]:
    """Write ``NAME.ply``, with colours and a mark, and ``NAME.png``: the scan, then the completion.

    Args:
        directory: Made where it is missing.
        name: Of the scan.
        completed: Points of the completion, metre.
        scan: Points of the scan, metre.
        with_scan: Whether the completion keeps them.

    Returns:
        Names of the files.
    """
    parts = [(scan, _SCANNED)] if with_scan else []
    parts.append((completed, _COMPLETED))
    points = np.concatenate([one for one, _ in parts]).astype(np.float32)
    colours = np.concatenate(
        [np.tile(np.array(colour, np.uint8), (len(one), 1)) for one, colour in parts]
    )
    scanned = np.zeros(len(points), dtype=bool)
    scanned[: len(points) - len(completed)] = True
    names = [f"{name}.ply", f"{name}.png"]
    directory.mkdir(parents=True, exist_ok=True)
    with atomic_path(directory / names[0]) as temporary:
        temporary.write_bytes(serialize_marked(points, colours, scanned))
    edge = float(np.abs(points[:, :2]).max())
    views = [bird_eye(one.astype(float), half_edge=edge) for one in (scan, points)]
    write_png(directory / names[1], np.hstack(views))
    return names
