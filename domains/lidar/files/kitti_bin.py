"""KITTI's scans: rows of x, y, z and intensity in float32, without a header.

Geiger et al. 2013, https://www.cvlibs.net/datasets/kitti.
"""

import numpy as np
from jaxtyping import Float32

__all__ = ["parse", "serialize"]

ROW = 16


def parse(data: bytes) -> Float32[np.ndarray, "n 3"]:
    """Return the points without their intensity.

    Raises:
        ValueError: The size is no multiple of 16 bytes, or the file is text.
    """
    if len(data) % ROW:
        raise ValueError(f"its {len(data)} bytes are no multiple of {ROW} (x y z intensity)")
    if _is_text(data):
        raise ValueError("it is text, not float32")
    return np.frombuffer(data, "<f4").reshape(-1, 4)[:, :3]


def serialize(points: Float32[np.ndarray, "n 3"]) -> bytes:
    """Return the file's content, intensity 0."""
    return np.pad(points.astype("<f4"), ((0, 0), (0, 1))).tobytes()


def _is_text(data: bytes) -> bool:
    """Tell text, whose digits would pass for tiny coordinates; float32 hardly ever decodes."""
    try:
        return "".join(data.decode().split()).isprintable()
    except UnicodeDecodeError:
        return False
