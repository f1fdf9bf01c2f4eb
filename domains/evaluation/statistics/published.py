"""Numbers of papers, shown beside a run's own only where protocol and teacher are the paper's."""

from pathlib import Path
from typing import Any

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field

from domains.config import RunConfig, read_yaml
from domains.errors import FewstepError
from domains.files.regular import read_json_object

__all__ = ["Published", "read_published", "rows_beside"]


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Number(_Model):
    """Published values of one sampler setting; single seeds, without intervals."""

    label: str
    source: str
    """Citation; of the table's paper, which may be another than the method's."""
    steps: int
    noise_scale: float | None = None
    values: dict[str, float] = Field(min_length=1)
    """By the name of our metric, in its unit."""


class Published(_Model):
    """Numbers that were measured alike: by one protocol, of one teacher and its students."""

    teacher: str
    """Name of the teacher's file, or of the directory that holds its files."""
    model: dict[str, Any]
    """What the prepared teacher's ``model.json`` says of it."""
    protocol: dict[str, Any]
    """Settings of a run by their path, as they are written in JSON."""
    tool: str
    """What measured them."""
    numbers: tuple[Number, ...]

    def fits(self, settings: RunConfig, teacher: dict[str, Any]) -> bool:
        """Return whether a run of these settings measures as the paper did, all its samples."""
        written = settings.model_dump(mode="json")
        return (
            Path(settings.teacher).name == self.teacher
            and settings.evaluate.measures_all(settings.generate.count)
            and all(_at(teacher, path) == value for path, value in self.model.items())
            and all(_at(written, path) == value for path, value in self.protocol.items())
        )


def read_published(path: Path | None) -> list[Published]:
    """Read a field's published numbers; none where it has no such file."""
    content = read_yaml(path)["published"] if path else []
    return [Published.model_validate(entry) for entry in content]


def rows_beside(
    settings: RunConfig, published: list[Published], teacher: Path | None
) -> pd.DataFrame:
    """Return the numbers that may stand beside a run's, as rows for the report.

    Args:
        settings: Of the run.
        published: Of its field.
        teacher: Directory of the prepared teacher, which tells its architecture; none shows none.
    """
    description = teacher / "model.json" if teacher else None
    if description is None or not description.exists():
        return pd.DataFrame()
    try:
        prepared = dict(read_json_object(description)["config"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise FewstepError(
            f"can't read {description}", got=error, do="Prepare the model again"
        ) from error
    return pd.DataFrame(
        [
            {
                "run": number.label,
                "role": "published",
                "steps": number.steps,
                "noise_scale": number.noise_scale,
                "metric": metric,
                "value": value,
                "n": settings.generate.count,
                "tool": f"{entry.tool}, as published",
                "source": number.source,
            }
            for entry in published
            if entry.fits(settings, prepared)
            for number in entry.numbers
            for metric, value in number.values.items()
        ]
    )


def _at(content: Any, path: str) -> Any:
    """Return the value at a path such as ``generate.lengths``; None where there is none."""
    for key in path.split("."):
        content = content.get(key) if isinstance(content, dict) else None
    return content
