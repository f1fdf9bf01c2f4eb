"""What the points of a scan know of their surroundings, at three levels of detail."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from domains.lidar.points.attention import NeighbourAttention
from domains.lidar.points.config import PointConfig
from domains.lidar.points.neighbours import gathered, nearest_points

__all__ = ["Level", "Levels", "ScanEncoder", "placed_in_scene"]


@dataclass(frozen=True)
class Level:
    """Points of a scan at one level of detail, and their features.

    Attributes:
        points: Metre.
        features: What each knows.
    """

    points: Float[Tensor, "p 3"]
    features: Float[Tensor, "p c"]


@dataclass(frozen=True)
class Levels:
    """Encoded scans, made once for all calls of a sampler.

    Attributes:
        scans: Of each scan its levels, from the finest on.
    """

    scans: tuple[tuple[Level, ...], ...]

    def to(self, device: torch.device | str) -> "Levels":
        """Move all levels to ``device``."""
        return Levels(
            tuple(
                tuple(Level(one.points.to(device), one.features.to(device)) for one in levels)
                for levels in self.scans
            )
        )

    def repeated(self, times: int, scans: int) -> "Levels":
        """Return the ``scans`` scans so many times after each other."""
        assert scans == len(self.scans)
        return Levels(self.scans * times)


class ScanEncoder(nn.Module):
    """Attends from each level to the finer one, and then within the level."""

    def __init__(self, config: PointConfig):
        super().__init__()
        self.config = config
        channels = config.channels
        self.gather = nn.ModuleList(
            NeighbourAttention(4, known, channels) for known in (0, channels, channels)
        )
        self.exchange = nn.ModuleList(
            NeighbourAttention(channels, channels, channels) for _ in range(3)
        )
        self.norms = nn.ModuleList(nn.LayerNorm(channels) for _ in range(3))

    def encode(self, partial: Float[Tensor, "b p 3"] | None, scans: int) -> Levels:
        """Return the levels of a batch's scans; without them, of one point at each sensor."""
        if partial is None:
            partial = torch.zeros(scans, 1, 3, device=next(self.parameters()).device)
        return Levels(tuple(self(one) for one in partial))

    def forward(self, partial: Float[Tensor, "p 3"]) -> tuple[Level, ...]:
        """Return the levels of one scan, from its own points to the coarsest cells."""
        levels: list[Level] = []
        coarser = (partial, *(cell_means(partial, cell) for cell in self.config.cells))
        for number, points in enumerate(coarser):
            levels.append(self._level(number, points, levels))
        return tuple(levels)

    def _level(self, number: int, points: Tensor, finer: Sequence[Level]) -> Level:
        unit, count = self.config.units[number], self.config.neighbours[number]
        source = finer[-1].points if finer else points
        rows = nearest_points(points, source, count)
        known = gathered(finer[-1].features, rows) if finer else None
        offset = (gathered(source, rows) - points[:, None]) / unit
        features, _ = self.gather[number](placed_in_scene(points, self.config), offset, known)
        if finer:
            rows = nearest_points(points, points, count)
            offset = (gathered(points, rows) - points[:, None]) / unit
        told, _ = self.exchange[number](features, offset, gathered(features, rows))
        return Level(points, self.norms[number](features + told))


def placed_in_scene(points: Float[Tensor, "p 3"], config: PointConfig) -> Float[Tensor, "p 4"]:
    """Return height, distance and the direction as the sensor sees it: shadows lie along it."""
    flat = torch.linalg.vector_norm(points[:, :2], dim=-1, keepdim=True)
    away = torch.linalg.vector_norm(points, dim=-1, keepdim=True)
    direction = points[:, :2] / flat.clamp(min=0.1)
    return torch.cat([points[:, 2:] / 3, away / config.radius, direction], -1)


def cell_means(points: Float[Tensor, "p 3"], edge: float) -> Float[Tensor, "c 3"]:
    """Return the mean of the points of each cubic cell, in the order of the cells."""
    cells = torch.floor(points.detach() / edge)
    _, place = torch.unique(cells, dim=0, return_inverse=True)
    count = int(place.max()) + 1 if len(place) else 0
    total = points.new_zeros(count, 3).index_add_(0, place, points)
    return total / torch.bincount(place, minlength=count)[:, None]
