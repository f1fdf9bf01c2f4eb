"""Architecture of LiDiff's networks: all three share it."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt, ValidationError

from domains.errors import FewstepError

__all__ = ["NetworkConfig"]

# LiDiff's channels: stem, four stages, four decoder stages.
_CHANNELS = (32, 32, 64, 128, 256, 256, 128, 96, 96)


class NetworkConfig(BaseModel):
    """Width and resolution; the defaults are those of the published checkpoints."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    width: PositiveFloat = Field(1.0, description="Factor of all channels (LiDiff's cr)")
    voxel_size: PositiveFloat = Field(0.05, description="Edge of the finest voxels, metre")
    partial_points: PositiveInt = Field(18_000, description="Points of a partial scan")
    copies: PositiveInt = Field(10, description="Points of a completion for each of these")

    @property
    def points(self) -> int:
        """Points of a completion."""
        return self.partial_points * self.copies

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

    @classmethod
    def parse(cls, content: Any, source: str) -> "NetworkConfig":
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
