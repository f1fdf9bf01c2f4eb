"""Size of the network of points."""

from typing import Literal

from pydantic import Field

from domains.lidar.network.config import SceneConfig

__all__ = ["PointConfig"]


class PointConfig(SceneConfig):
    """How wide the network is, and how far it looks."""

    kind: Literal["points"] = "points"
    channels: int = Field(64, ge=4, le=1024, multiple_of=4, description="Channels of a point")
    neighbours: tuple[int, int, int] = Field(
        (16, 12, 8), description="Neighbours of a point in the scan, and in its two coarser levels"
    )
    cells: tuple[float, float] = Field(
        (1.2, 4.0), description="Edge of a cell of the coarser levels, metre"
    )
    learning_points: int = Field(
        4096, ge=1, description="Points of a scene that learn at once, since none sees another"
    )

    @property
    def learning_size(self) -> int:
        """Points of a scene that learn at once."""
        return min(self.learning_points, self.points)

    @property
    def units(self) -> tuple[float, float, float]:
        """Length that offsets of each level are divided by, metre."""
        return (self.cells[0] / 2, self.cells[0], self.cells[1])
