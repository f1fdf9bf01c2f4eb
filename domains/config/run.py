"""A whole run's settings, read from YAML and checked before any job starts."""

from __future__ import annotations

import reprlib
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import Field, ValidationError, model_validator

from domains.config.base import Config, Name
from domains.config.data import Data
from domains.config.sampling import UNMODELLED, Evaluate, Generate, SampleSet
from domains.config.training import Distil, Pretrain
from domains.errors import FewstepError

__all__ = ["PRETRAIN", "RunConfig", "load_config", "parse_config", "read_yaml"]

# As the teacher: train one from scratch.
PRETRAIN = "pretrain"
_SAMPLERS = {"protein": ("renoise", "sde", "ode"), "lidar": ("renoise", "dpm")}
_MERGE = "tag:yaml.org,2002:merge"


class RunConfig(Config):
    """A whole run, from teacher to report."""

    name: Name
    """Everything is written to `results/<name>`."""
    domain: Literal["protein", "lidar"]
    """Scientific field."""
    seed: int = Field(default=0, ge=0)
    """Decides every random number."""
    teacher: str = Field(min_length=1)
    """Checkpoint file, model directory or bundled name; `pretrain` trains one from scratch."""
    data: Data = Data()
    """Where its data are; for proteins those of the package if not given."""
    pretrain: Pretrain | None = None
    """How, with `teacher: pretrain`."""
    students: dict[Name, Distil] = Field(default_factory=dict)
    """Students by name."""
    generate: Generate
    """How many samples of which sizes."""
    sets: dict[Name, SampleSet]
    """Sets of samples by name; none: the teacher is all that is made."""
    evaluate: Evaluate = Evaluate()
    """What is measured."""
    title: str = ""
    """Title of the report; the run's name if empty."""
    notes: str = ""
    """Text of the report; blank lines part paragraphs."""

    @model_validator(mode="after")
    def _teacher_is_described(self) -> RunConfig:
        if self.teacher == PRETRAIN and self.pretrain is None:
            raise ValueError(f"teacher is {PRETRAIN!r}, but there is no pretrain section")
        return self

    @model_validator(mode="after")
    def _known_models(self) -> RunConfig:
        reserved = {"teacher", *UNMODELLED}
        if taken := reserved & set(self.students):
            raise ValueError(f"students.{min(taken)}: this name is taken")
        known = reserved | set(self.students)
        for name, sample_set in self.sets.items():
            if sample_set.model not in known:
                raise ValueError(
                    f"sets.{name}.model is {sample_set.model!r}, not one of {sorted(known)}"
                )
        return self

    @model_validator(mode="after")
    def _samples_are_of_the_field(self) -> RunConfig:
        lidar, plan = self.domain == "lidar", self.generate
        if lidar and not (self.data.path or self.data.simulate or self.data.scans):
            raise ValueError("data: the lidar domain needs path, scans or simulate")
        if lidar and self.data.scans and not self.data.path and (self.students or self.pretrain):
            raise ValueError("data: to train, the lidar domain needs path or simulate")
        if lidar and (plan.scenes is None or plan.lengths):
            raise ValueError("generate.scenes: the lidar domain takes scenes, not lengths")
        if not lidar and (not plan.lengths or plan.scenes is not None):
            raise ValueError("generate.lengths: the protein domain takes lengths, not scenes")
        tempered = [n for n, s in self.students.items() if s.teacher_noise_scale != 1]
        if lidar and tempered:
            raise ValueError(f"students.{tempered[0]}.teacher_noise_scale: of proteins only")
        if not lidar and (self.data.simulate or self.data.scans):
            raise ValueError("data: scans and simulate are of the lidar domain")
        return self

    @model_validator(mode="after")
    def _samplers_are_of_the_field(self) -> RunConfig:
        known = _SAMPLERS[self.domain]
        for name, sample_set in self.sets.items():
            if sample_set.sampler.kind not in known:
                raise ValueError(
                    f"sets.{name}.sampler: {sample_set.sampler.kind} is none of the"
                    f" {self.domain} domain, which has {', '.join(known)}"
                )
            if sample_set.refine and self.domain != "lidar":
                raise ValueError(f"sets.{name}.refine: only LiDAR scenes are refined")
        return self

    @property
    def located_data(self) -> Data:
        """Where the data are, those to simulate too."""
        return self.data.located(f"results/{self.name}/streets")

    @property
    def needs_tools(self) -> bool:
        """Whether a measure needs weights that have to be fetched."""
        wanted = self.evaluate.proxy or self.evaluate.folding_model is not None
        return self.domain == "protein" and wanted

    def sample_set(self, name: str) -> SampleSet:
        """Return a set by its name.

        Raises:
            FewstepError: There is no such set.
        """
        if name not in self.sets:
            raise FewstepError("unknown set", expected=f"one of {sorted(self.sets)}", got=name)
        return self.sets[name]


class _UniqueKeys(yaml.SafeLoader):
    """A YAML loader that refuses a key given twice."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict:
        named = [key for key, _ in node.value if key.tag != _MERGE]
        keys = [self.construct_object(key, deep=True) for key in named]
        for key in keys:
            if keys.count(key) > 1:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} is given twice", node.start_mark
                )
        return super().construct_mapping(node, deep)


def load_config(path: Path) -> RunConfig:
    """Read and validate a run's YAML.

    Raises:
        FewstepError: The file is missing, no YAML, or says something that can't be.
    """
    return parse_config(read_yaml(path), str(path))


def read_yaml(path: Path) -> Any:
    """Return the content of a YAML file in which no key is given twice.

    Raises:
        FewstepError: The file is missing or no such YAML.
    """
    try:
        return yaml.load(Path(path).read_text(encoding="utf-8"), Loader=_UniqueKeys)
    except (OSError, UnicodeDecodeError) as error:
        raise FewstepError(f"can't read the config {path}", got=error) from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise FewstepError(f"{path} is no valid YAML", got=error, do="Mend it") from error


def parse_config(content: Any, source: str = "config") -> RunConfig:
    """Validate a run's settings as read from YAML; ``source`` names them in messages."""
    try:
        return RunConfig.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise FewstepError(
            f"{source}, {where}: {first['msg']}",
            got=reprlib.repr(first.get("input")),
            do="See docs/configuration.md for the keys and their ranges",
        ) from error
