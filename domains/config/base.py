"""What all settings share: frozen, and a key that is not known is an error."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

__all__ = ["Config", "Name"]

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", max_length=100)]


class Config(BaseModel):
    """Frozen, and a key that is not known is an error.

    The text under each field is its description, in the JSON schema and the documentation.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True
    )

    @field_validator("*", mode="before")
    @classmethod
    def _truth_is_no_number(cls, value: Any, info: ValidationInfo) -> Any:
        """Refuse yes and no where a number is meant, which pydantic would read as 1 and 0."""
        kind = cls.model_fields[info.field_name or ""].annotation
        if isinstance(value, bool) and kind in (int, float, float | None):
            raise ValueError("Input should be a number, not yes or no")
        return value
