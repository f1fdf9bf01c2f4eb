"""Where a run's data are."""

from __future__ import annotations

import os
from os.path import splitext
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, field_validator, model_validator

from domains.config.base import MOST_SEED, Config
from domains.errors import FewstepError

__all__ = ["SCAN_SUFFIXES", "Data", "Simulate"]

SCAN_SUFFIXES = (".bin", ".ply", ".pcd")

Sequence = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$", max_length=100)]
Sequences = Annotated[tuple[Sequence, ...], Field(min_length=1)]

# x, y and z are read; what the others are called is the user's.
Columns = Annotated[tuple[Annotated[str, Field(max_length=100)], ...], Field(max_length=100)]


class Simulate(Config):
    """Simulated streets, each one sequence of scans."""

    train: int = Field(default=8, ge=1, le=500)
    """Streets to train on."""
    held_out: int = Field(default=4, ge=1, le=500)
    """Streets to sample and measure on; never those of training, whatever the numbers."""
    scans: int = Field(default=20, ge=1, le=100_000)
    """Scans of each street, about a metre apart."""
    azimuths: int = Field(default=2083, ge=8, le=100_000)
    """Firings per turn of the sensor."""
    seed: int = Field(default=0, ge=0, le=MOST_SEED)
    """Decides the streets, whatever the seed of the run: students of several share them."""


class Data(Config):
    """A field's data: packed protein domains (.npz), or scans in SemanticKITTI's layout."""

    path: str | None = None
    """File of packed domains, or directory that holds `sequences`."""
    scans: str | None = None
    """Directory of LiDAR scans (.bin, .ply, .pcd) to complete; without ground truth."""
    columns: Columns | None = None
    """Names of a row's float32 numbers in `.bin` scans, such as `[x, y, z, intensity, ring]`; none:
    told from the content, and refused in doubt."""
    simulate: Simulate | None = None
    """Makes LiDAR scans instead of reading them from `path`."""
    train: Sequences = ("00", "01", "02", "03", "04", "05", "06", "07", "09", "10")
    """LiDAR sequences to train on."""
    held_out: Sequences = ("08",)
    """LiDAR sequences to sample and measure on."""

    @field_validator("train", "held_out", mode="before")
    @classmethod
    def _names_are_text(cls, names: Any) -> Any:
        """Refuse numbers: YAML reads 00 as 0 and 010 as 8."""
        for name in names if isinstance(names, list | tuple) else [names]:
            if isinstance(name, int | float):
                raise ValueError(f"a sequence's name is text, in quotes: '00', not {name}")
        return names

    @field_validator("columns")
    @classmethod
    def _columns_are_of_points(cls, columns: Columns | None) -> Columns | None:
        if columns is not None and any(columns.count(name) != 1 for name in "xyz"):
            raise ValueError("columns must hold x, y and z, each once")
        return columns

    @model_validator(mode="after")
    def _one_source(self) -> Data:
        if self.simulate is not None and (self.path or self.scans or self.columns):
            raise ValueError("simulate excludes path, scans and columns")
        if both := set(self.train) & set(self.held_out):
            raise ValueError(f"the sequence {min(both)} is both in train and in held_out")
        return self

    @property
    def files(self) -> list[str]:
        """Return the file that everything is made of, if the data are one."""
        return [self.path] if self.path and Path(self.path).is_file() else []

    def loose_scans(self) -> list[Path]:
        """Return the files of ``scans`` in the order of their sample numbers.

        Raises:
            FewstepError: There is no such directory, or no scan in it.
        """
        root = Path(str(self.scans))
        if not root.is_dir():
            raise FewstepError(f"there is no directory {root}", do="Correct data.scans")
        names = (name for name in os.listdir(root) if splitext(name)[1].lower() in SCAN_SUFFIXES)
        # Beside x.bin on other disks macOS leaves a hidden ._x.bin.
        found = [root / name for name in sorted(names) if not name.startswith(".")]
        if not found:
            wanted = "files with " + ", ".join(SCAN_SUFFIXES)
            raise FewstepError(f"there are no scans in {root}", expected=wanted)
        return found

    def located(self, simulated: str) -> Data:
        """Return where the data are once those to simulate lie in ``simulated``."""
        if self.simulate is None:
            return self
        count = self.simulate.train
        train = tuple(f"{k:03d}" for k in range(count))
        held_out = tuple(f"{500 + k:03d}" for k in range(self.simulate.held_out))
        return Data(path=simulated, train=train, held_out=held_out)
