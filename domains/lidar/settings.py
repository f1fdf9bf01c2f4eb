"""Settings of the LiDAR field: data, samples, measures, and what its runs may ask for."""

from __future__ import annotations

import os
from os.path import splitext
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from domains.config.fields import FieldSettings
from domains.config.run import RunConfig
from domains.config.sections import Data, Evaluate, Generate
from domains.config.training import Distil, Pretrain
from domains.distillation.times import Times
from domains.errors import FewstepError
from domains.settings import MOST_SEED, Config

__all__ = [
    "SCAN_SUFFIXES",
    "SETTINGS",
    "LidarCalibration",
    "LidarData",
    "LidarEvaluate",
    "LidarGenerate",
    "LidarPretrain",
    "LidarRun",
    "Simulate",
]

_ASSETS = Path(__file__).parent / "assets"
_BUNDLED = "lidiff-mini", "lidar-street", "lidar-street-8", "lidar-street-1"
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


class LidarData(Data):
    """Scans in SemanticKITTI's layout, loose scans, or simulated streets."""

    path: str | None = None
    """Directory that holds `sequences`."""
    scans: str | None = None
    """Directory of LiDAR scans (.bin, .ply, .pcd) to complete; without ground truth."""
    columns: Columns | None = None
    """Names of a row's float32 numbers in `.bin` scans, such as `[x, y, z, intensity, ring]`; none:
    told from the content, and refused in doubt."""
    radius: float = Field(default=50.0, gt=3.5, le=500)
    """Points of scan and ground truth beyond it are left out, metre; as in the model's training."""
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
    def _one_source(self) -> LidarData:
        if self.simulate is not None and (self.path or self.scans or self.columns):
            raise ValueError("simulate excludes path, scans and columns")
        if both := set(self.train) & set(self.held_out):
            raise ValueError(f"the sequence {min(both)} is both in train and in held_out")
        return self

    @property
    def is_simulated(self) -> bool:
        """Whether the streets have to be made first."""
        return self.simulate is not None

    def simulated(self, at: Path) -> list[Path]:
        """Return the directories of the streets, if they are simulated."""
        if not self.is_simulated:
            return []
        made = self.located(str(at))
        return [at / "sequences" / name for name in (*made.train, *made.held_out)]

    def inputs(self) -> list[Path]:
        """Return the loose scans, one for each sample."""
        return self.loose_scans() if self.scans else []

    def loose_scans(self) -> list[Path]:
        """Return the files of ``scans`` in the order of their sample numbers.

        Raises:
            FewstepError: There is no such directory, or no scan in it.
        """
        root = Path(str(self.scans))
        if not root.is_dir():
            raise FewstepError(
                f"there is no directory {root}",
                do="Correct the path (data.scans in a run's settings)",
            )
        names = (name for name in os.listdir(root) if splitext(name)[1].lower() in SCAN_SUFFIXES)
        # Beside x.bin on other disks macOS leaves a hidden ._x.bin.
        found = [root / name for name in sorted(names) if not name.startswith(".")]
        if not found:
            wanted = "files with " + ", ".join(SCAN_SUFFIXES)
            raise FewstepError(f"there are no scans in {root}", expected=wanted)
        return found

    def located(self, simulated: str) -> LidarData:
        """Return the settings with simulated data at the path ``simulated``."""
        if self.simulate is None:
            return self
        count = self.simulate.train
        train = tuple(f"{k:03d}" for k in range(count))
        held_out = tuple(f"{500 + k:03d}" for k in range(self.simulate.held_out))
        return LidarData(path=simulated, train=train, held_out=held_out, radius=self.radius)


class LidarCalibration(Config):
    """Fits by how much the teacher's predicted noise is too large, at each level of noise."""

    scenes: int = Field(default=8, ge=1, le=10_000)
    """Training scenes that it is fitted on, evenly spread over the last training sequence."""


class LidarPretrain(Pretrain):
    """A LiDiff network trained from scratch."""

    part: Literal["denoiser", "refinement"] = "denoiser"
    """What is trained; the refinement of scenes goes on from a denoiser (`start`)."""
    scenes_per_batch: int = Field(default=2, ge=1, le=10_000)
    """Scenes per micro-batch."""
    regularised: bool = True
    """Hold mean and deviation of the predicted noise at 0 and 1, as LiDiff does; without it the
    predictions are the mean of what is possible, and samplers do not overshoot."""
    times: Times | None = None
    """Where times are drawn; none: all of LiDiff's timesteps alike."""


class LidarGenerate(Generate):
    """How many scenes, in shards."""

    scenes: int | None = Field(default=None, ge=1, le=100_000_000)
    """Number of scenes, drawn from the held-out sequences; of loose scans (`data.scans`) all if
    not given."""
    formats: tuple[Literal["pcd", "bin", "png"], ...] = ()
    """Also write PCD, KITTI `.bin`, and pictures."""

    @property
    def count(self) -> int:
        """Number of samples of a set; 0 until loose scans are counted."""
        return self.scenes or 0

    def request_key(self, sample: int) -> tuple[object, ...]:
        """Return all settings that decide a sample's request; a change samples it anew."""
        return (sample, 0)


class LidarEvaluate(Evaluate):
    """What is measured of completed scenes."""

    transport: bool | Literal["coarse"] = True
    """Measure the earth mover's distance of scenes, and its published variant, between cells of
    0.5 m; `coarse`: between cells of 1 m, which takes seconds where that can take minutes."""


class LidarRun(RunConfig):
    """A run with LiDAR scenes."""

    samplers: ClassVar[tuple[str, ...]] = ("renoise", "dpm", "tuned", "jitter")
    reads: ClassVar[tuple[str, ...]] = SCAN_SUFFIXES
    abilities: ClassVar[frozenset[str]] = frozenset({"refine", "thin"})

    domain: Literal["lidar"]
    """Scientific field."""
    data: LidarData = LidarData()
    """Where its data are."""
    pretrain: LidarPretrain | None = None
    """How, with `teacher: pretrain`."""
    calibration: LidarCalibration | None = None
    """Multiplies the teacher's predictions, in samplers and objectives alike; students start so."""
    generate: LidarGenerate
    """How many samples."""
    evaluate: LidarEvaluate = LidarEvaluate()
    """What is measured."""

    @classmethod
    def obstacle(cls, student: Distil) -> str:
        """Name the setting that keeps the field from training a student; empty if none does."""
        if student.objective.needs_tools:
            return "objective.preference: cross_nll is of proteins"
        if student.teacher_noise_scale != 1:
            return "teacher_noise_scale: only teachers of flow matching are tempered, so proteins"
        if student.fake_guidance != 1 == student.fake_training_guidance:
            return (
                "fake_guidance: every sample is told its scan, so a fake score learns to do without"
                " only where fake_training_guidance is not 1"
            )
        if student.objective.kind == "boot" and not student.roll_out.times:
            return (
                "roll_out.times: the only call is at noise alone, before which no times are left to"
                " tell boot's student how far it is; give one, such as [0.5]"
            )
        return super().obstacle(student)

    @property
    def calibrates(self) -> bool:
        """Whether a calibration of the teacher is fitted first."""
        return self.calibration is not None

    @model_validator(mode="after")
    def _scans_are_there(self) -> LidarRun:
        data, plan = self.data, self.generate
        if not (data.path or data.simulate or data.scans):
            raise ValueError("data: the lidar field needs path, scans or simulate")
        learns = self.students or self.pretrain or self.searches or self.calibration
        if data.scans and not data.path and learns:
            raise ValueError("data: to train or tune, the lidar field needs path or simulate")
        if plan.scenes is None and not data.scans:
            raise ValueError("generate.scenes: needed where data.scans does not say it")
        return self

    def written_out(self) -> dict[str, Any]:
        """Write out the sweep, and the number of loose scans."""
        written = super().written_out()
        if self.data.scans and self.generate.scenes is None:
            scenes = {"scenes": len(self.data.loose_scans())}
            written["generate"] = self.generate.model_copy(update=scenes)
        return written


SETTINGS = FieldSettings(
    name="lidar",
    run=LidarRun,
    implementation="domains.lidar.field:FIELD",
    metrics="domains.lidar.metric_texts:METRICS",
    bundled={name: _ASSETS / name for name in _BUNDLED},
    published=Path(__file__).parent / "assets" / "published.yaml",
    made=("scan completed", "scans completed"),
)
