"""Size of scenes, and architecture of LiDiff's networks: all three share it."""

from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from domains.errors import FewstepError

__all__ = ["NetworkConfig", "SceneConfig"]

# LiDiff's channels: stem, four stages, four decoder stages.
_CHANNELS = (32, 32, 64, 128, 256, 256, 128, 96, 96)


_Config = TypeVar("_Config", bound="SceneConfig")


class SceneConfig(BaseModel):
    """How large scans and completions are; the defaults are those of the published checkpoints."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    # The bounds are far beyond any use: what claims more would take all memory.
    partial_points: int = Field(18_000, ge=1, le=10**7, description="Points of a partial scan")
    copies: int = Field(10, ge=1, le=1000, description="Points of a completion for each of these")
    radius: float = Field(50.0, gt=3.5, le=500, description="Reach of its scenes, metre")

    @property
    def points(self) -> int:
        """Points of a completion."""
        return self.partial_points * self.copies

    @property
    def learning_size(self) -> int:
        """Points of a scene that learn at once: all of them where they see each other."""
        return self.points

    @classmethod
    def parse(cls: type[_Config], content: Any, source: str) -> _Config:
        """Read a configuration.

        Raises:
            FewstepError: A key is unknown or a value makes no sense; ``source`` is named.
        """
        try:
            return cls.model_validate(content)
        except ValidationError as error:
            first = error.errors()[0]
            key = ".".join(map(str, first["loc"])) or "network"
            raise FewstepError(f"{source}, {key}: {first['msg']}", got=first["input"]) from error


class NetworkConfig(SceneConfig):
    """Width and resolution of LiDiff's U-Nets."""

    width: float = Field(1.0, ge=1 / 32, le=4, description="Factor of all channels (LiDiff's cr)")
    voxel_size: float = Field(0.05, ge=1e-3, le=100, description="Edge of finest voxels, metre")

    @property
    def channels(self) -> tuple[int, ...]:
        """Channels of stem, stage1 to stage4, and up1 to up4."""
        return tuple(int(self.width * count) for count in _CHANNELS)

    @property
    def condition_channels(self) -> int:
        """Channels of a condition row: the encoder's last stage."""
        return self.channels[4]

    @property
    def time_channels(self) -> int:
        """Channels of the timestep embedding."""
        return self.channels[8]
