"""Ideal chains [l, 3] of Cα atoms in nm, and whole domains to measure beside them."""

import numpy as np

from domains.protein.data.dataset import load_domains
from domains.protein.metrics.geometry.decoys import build

__all__ = ["chain", "helix", "native", "screw", "strand"]


def chain(angle: float, torsion: float, length: int = 30, bond: float = 0.38) -> np.ndarray:
    """Build a chain of one bond angle and one torsion (degrees) and one bond length (nm)."""
    return build(np.full(length - 2, angle), np.full(length - 3, torsion), bond)


def helix(length: int = 30) -> np.ndarray:
    """Build a right-handed α-helix."""
    return chain(91.0, 50.0, length)


def strand(length: int = 30) -> np.ndarray:
    """Build an extended strand."""
    return chain(124.0, -170.0, length)


def screw(length: int = 30, turn: float = 100.0) -> np.ndarray:
    """Put an α-helix along z: radius 0.23 nm, rise 0.15 nm; left-handed for a negative turn (°)."""
    angle, rise = np.radians(turn) * np.arange(length), 0.15 * np.arange(length)
    return np.stack([0.23 * np.cos(angle), 0.23 * np.sin(angle), rise], axis=1)


def native(number: int = 0, low: int = 60, high: int = 60) -> np.ndarray:
    """Return a held-out domain of ``low`` to ``high`` residues, in float64."""
    found = load_domains().subset("test", low, high)
    return np.array(found.points(number), dtype=np.float64)
