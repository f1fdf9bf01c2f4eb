"""Occupied voxels of one stride, as sorted 64-bit keys of (scan, x, y, z)."""

from dataclasses import dataclass

import torch
from jaxtyping import Int, Real
from torch import Tensor

from domains.errors import FewstepError

__all__ = ["LIMIT", "Voxels"]

# Bits of a key: 9 for the scan, 18 for each axis. Shifted by 2^17, a coordinate is never
# negative, so clearing its low bits is floor, and keys sort as (scan, x, y, z).
_BITS = 18
_SHIFTS = (3 * _BITS, 2 * _BITS, _BITS, 0)
_ORIGIN = 1 << (_BITS - 1)
_SCANS = 1 << 9
# Largest coordinate: neighbours within 2^8 voxels never carry into another axis.
LIMIT = _ORIGIN - (1 << 8)


@dataclass(frozen=True, eq=False)
class Voxels:
    """Distinct voxels of a batch of scans; two objects are equal only if they are the same.

    Attributes:
        keys: Ascending, so that rows are in lexicographic order of (scan, x, y, z).
        stride: Edge in finest voxels, a power of two; coordinates are multiples of it.
    """

    keys: Int[Tensor, " v"]
    stride: int = 1

    def __len__(self) -> int:
        return len(self.keys)

    @property
    def scan(self) -> Int[Tensor, " v"]:
        """Number of the scan that each voxel belongs to."""
        return self.keys >> _SHIFTS[0]

    @property
    def xyz(self) -> Int[Tensor, "v 3"]:
        """Lower corners, in finest voxels."""
        mask = (1 << _BITS) - 1
        return torch.stack([(self.keys >> s & mask) - _ORIGIN for s in _SHIFTS[1:]], -1)

    def offset(self, x: int, y: int, z: int) -> int:
        """Return the key difference of a shift by (x, y, z) voxels of this stride."""
        return sum(d * self.stride << s for d, s in zip((x, y, z), _SHIFTS[1:], strict=True))

    def to(self, device: torch.device | str) -> "Voxels":
        """Return the same voxels on ``device``."""
        return Voxels(self.keys.to(device), self.stride)

    def moved_by(self, scans: int) -> "Voxels":
        """Return the same voxels with scan numbers that are larger by ``scans``."""
        last = int(self.scan[-1]) + scans if len(self) else 0
        if last >= _SCANS:
            raise FewstepError(
                "too many scans in a batch", expected=f"at most {_SCANS}", got=last + 1
            )
        return Voxels(self.keys + (scans << _SHIFTS[0]), self.stride)

    def scan_starts(self, scans: int) -> list[int]:
        """Return the first row of each scan, and the number of rows."""
        edges = torch.arange(scans + 1, device=self.keys.device) << _SHIFTS[0]
        return torch.searchsorted(self.keys, edges).tolist()

    def coarser(self) -> tuple["Voxels", Int[Tensor, " v"], Int[Tensor, " v"]]:
        """Return voxels of twice the stride: floor(c / 2s) 2s on each axis, without repeats.

        Returns:
            The coarser voxels; the row of each voxel's parent; the voxel's place in its
            parent, i_x + 2 i_y + 4 i_z.
        """
        bits = [self.keys >> s & self.stride for s in _SHIFTS[1:]]
        x, y, z = ((bit != 0).long() for bit in bits)
        place = x + 2 * y + 4 * z
        low = sum(self.stride << s for s in _SHIFTS[1:])
        keys, parent = torch.unique(self.keys & ~low, return_inverse=True)
        return Voxels(keys, 2 * self.stride), parent, place

    @staticmethod
    def key(scan: Int[Tensor, " m"], xyz: Real[Tensor, "m 3"]) -> Int[Tensor, " m"]:
        """Return the keys of coordinates, in any order, repeats kept.

        Args:
            scan: Number of the scan, 0 to 511.
            xyz: Coordinates in finest voxels, between -``LIMIT`` and ``LIMIT``.

        Raises:
            FewstepError: More than 512 scans.
        """
        if len(scan) and not 0 <= int(scan.min()) <= int(scan.max()) < _SCANS:
            raise FewstepError(
                "scan numbers of a batch are out of range",
                expected=f"0 to {_SCANS - 1}",
                got=f"{int(scan.min())} to {int(scan.max())}",
            )
        shifted = (xyz.long() + _ORIGIN).unbind(-1)
        key = scan.long() << _SHIFTS[0]
        for part, shift in zip(shifted, _SHIFTS[1:], strict=True):
            key = key + (part << shift)
        return key
