"""Entries of the manifest: what each outside file is, and whose."""

from collections import Counter
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from domains.errors import FewstepError

__all__ = [
    "DebianPackage",
    "Entry",
    "Manifest",
    "Member",
    "Package",
    "PypiSdist",
    "PypiWheel",
    "RepositoryFile",
    "Url",
]

# Patterns keep a manifest from leaving the cache or passing an option to a tool.
_Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9+._~:-]*$")]
_Inside = Annotated[str, Field(pattern=r"^[^/\\][^\\]*$")]
_Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
_Text = Annotated[str, Field(min_length=1)]


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Member(_Model):
    """One file inside an archive that the program reads; size in bytes."""

    path: _Inside
    sha256: _Sha256
    size: Annotated[int, Field(gt=0)]

    @field_validator("path")
    @classmethod
    def _stays_inside(cls, path: str) -> str:
        if ".." in path.split("/"):
            raise ValueError("the path leaves its archive")
        return path


class _Described(_Model):
    """What every entry says: identity, rights, and the stage that needs it."""

    id: _Name
    sha256: _Sha256
    size: Annotated[int, Field(gt=0)]
    licence: _Text
    citation: _Text
    stage: Literal["prepare", "distill", "generate", "evaluate", "report"]
    purpose: _Text


class Package(_Described):
    """A file of a package archive, and the members that the program reads."""

    name: _Name
    version: _Name
    file: _Name
    members: tuple[Member, ...] = ()


class DebianPackage(Package):
    """A package of the Debian archive that apt is set up for."""

    kind: Literal["debian-package"]


class PypiSdist(Package):
    """A source distribution on PyPI."""

    kind: Literal["pypi-sdist"]


class PypiWheel(Package):
    """A wheel on PyPI."""

    kind: Literal["pypi-wheel"]


class Url(_Described):
    """A file at a web address."""

    kind: Literal["url"]
    url: Annotated[str, Field(pattern=r"^https?://\S+$")]
    file: _Name


class RepositoryFile(_Described):
    """A file that comes with this repository, made from other entries."""

    kind: Literal["repository-file"]
    path: _Inside


Entry = Annotated[
    DebianPackage | PypiSdist | PypiWheel | Url | RepositoryFile, Field(discriminator="kind")
]


class Manifest(_Model):
    """All entries of ``data_manifest.yaml``."""

    entries: tuple[Entry, ...]

    @field_validator("entries")
    @classmethod
    def _ids_differ(cls, entries: tuple[Entry, ...]) -> tuple[Entry, ...]:
        counts = Counter(entry.id for entry in entries)
        if repeated := sorted(name for name, count in counts.items() if count > 1):
            raise ValueError(f"ids come twice: {', '.join(repeated)}")
        return entries

    def find(self, name: str) -> Entry:
        """Return the entry with this id.

        Raises:
            FewstepError: There is none.
        """
        for entry in self.entries:
            if entry.id == name:
                return entry
        known = ", ".join(entry.id for entry in self.entries)
        raise FewstepError("no such entry in the manifest", expected=known, got=name)
