"""Architecture of LiDiff's networks: all three share it."""

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat

__all__ = ["NetworkConfig"]

# LiDiff's channels: stem, four stages, four decoder stages.
_CHANNELS = (32, 32, 64, 128, 256, 256, 128, 96, 96)


class NetworkConfig(BaseModel):
    """Width and resolution; the defaults are those of the published checkpoints."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    width: PositiveFloat = Field(1.0, description="Factor of all channels (LiDiff's cr)")
    voxel_size: PositiveFloat = Field(0.05, description="Edge of the finest voxels, metre")

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
