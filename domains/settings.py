"""What all settings share: frozen, and a key that is not known is an error."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

__all__ = ["MOST_SEED", "Config", "DomainName", "FoldClass", "Name"]

MOST_SEED = 2**63 - 1  # the largest integer of a table's column
_NUMBERS = (int, float, int | None, float | None)

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", max_length=100)]
DomainName = Literal["protein", "lidar"]
# Of CATH: C, C.A or C.A.T, such as 1, 2.60 or 3.30.70.
FoldClass = Annotated[str, Field(pattern=r"^[1-9][0-9]{0,3}(\.[1-9][0-9]{0,5}){0,2}$")]


class Config(BaseModel):
    """Frozen, and a key that is not known is an error.

    The text under each field is its description, in the JSON schema and the documentation.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True
    )

    @model_validator(mode="before")
    @classmethod
    def _truth_is_no_number(cls, content: Any) -> Any:
        """Refuse yes and no where a number is meant, which pydantic would read as 1 and 0."""
        for name, field in cls.model_fields.items():
            value = content.get(name) if isinstance(content, dict) else None
            if isinstance(value, bool) and field.annotation in _NUMBERS:
                raise ValueError(f"{name} should be a number, not yes or no")
        return content
