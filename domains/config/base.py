"""What all settings share: frozen, and a key that is not known is an error."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["Config", "Name"]

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")]


class Config(BaseModel):
    """Frozen, and a key that is not known is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")
