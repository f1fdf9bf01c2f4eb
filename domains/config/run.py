"""A whole run's settings, read from YAML and checked before any job starts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError, model_validator

from domains.config.applicability import obstacle
from domains.config.base import MOST_SEED, Config, DomainName, Name
from domains.config.data import Data
from domains.config.explain import explained
from domains.config.sampling import UNMODELLED, Evaluate, Generate, SampleSet
from domains.config.sweep import Sweep, combined
from domains.config.training import Distil, Pretrain
from domains.config.yaml_file import read_yaml
from domains.errors import FewstepError

__all__ = ["PRETRAIN", "RunConfig", "continued", "load_config", "parse_config"]

# As the teacher: train one from scratch.
PRETRAIN = "pretrain"
_SAMPLERS = {"protein": ("renoise", "sde", "ode", "tuned"), "lidar": ("renoise", "dpm", "tuned")}


class RunConfig(Config):
    """A whole run, from teacher to report."""

    name: Name
    """Everything is written to `results/<name>`."""
    domain: DomainName
    """Scientific field."""
    seed: int = Field(default=0, ge=0, le=MOST_SEED)
    """Decides every random number."""
    teacher: str = Field(min_length=1)
    """Checkpoint file, model directory or bundled name; `pretrain` trains one from scratch."""
    weaker: str | None = Field(default=None, min_length=1)
    """A weaker model of the same kind, such as an early checkpoint, which autoguidance pushes away
    from; given as `teacher` is (proteins)."""
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
    sweep: Sweep | None = None
    """Students and sets for every combination of a few settings; written out as such."""
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
    def _autoguidance_has_a_weaker_model(self) -> RunConfig:
        for key, weight in self._autoguided().items():
            if self.domain != "protein":
                raise ValueError(f"{key}: autoguidance is of the protein domain only")
            if self.weaker is None:
                raise ValueError(f"{key}: there is no weaker model; give it as weaker")
            if weight == 1:
                raise ValueError(f"{key}: it is of no use with guidance 1")
        return self

    @model_validator(mode="after")
    def _sweep_can_be_written_out(self) -> RunConfig:
        self.written_out()
        return self

    @model_validator(mode="after")
    def _samples_are_of_the_field(self) -> RunConfig:
        lidar, plan = self.domain == "lidar", self.generate
        if lidar and not (self.data.path or self.data.simulate or self.data.scans):
            raise ValueError("data: the lidar domain needs path, scans or simulate")
        learns = self.students or self.pretrain or self._tuned
        if lidar and self.data.scans and not self.data.path and learns:
            raise ValueError("data: to train or tune, the lidar domain needs path or simulate")
        counted = plan.scenes is not None or self.data.scans
        if lidar and (not counted or plan.lengths):
            raise ValueError("generate.scenes: the lidar domain takes scenes, not lengths")
        if not lidar and (not plan.lengths or plan.scenes is not None):
            raise ValueError("generate.lengths: the protein domain takes lengths, not scenes")
        if lidar and plan.fold:
            raise ValueError("generate.fold: fold classes are of the protein domain only")
        if not lidar and (self.data.simulate or self.data.scans):
            raise ValueError("data: scans and simulate are of the lidar domain")
        if other := {"cif"} & set(plan.formats) if lidar else set(plan.formats) - {"cif"}:
            raise ValueError(f"generate.formats: {min(other)} is not of the {self.domain} domain")
        return self

    @model_validator(mode="after")
    def _students_are_of_the_field(self) -> RunConfig:
        for name, student in self.students.items():
            if reason := obstacle(self.domain, student):
                raise ValueError(f"students.{name}.{reason}")
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
            if self.domain == "lidar" and getattr(sample_set.sampler, "self_conditioning", False):
                raise ValueError(f"sets.{name}.sampler.self_conditioning: of proteins only")
            if sample_set.refine and self.domain != "lidar":
                raise ValueError(f"sets.{name}.refine: only LiDAR scenes are refined")
        return self

    def written_out(self) -> dict[str, Any]:
        """Return the settings with the sets of the sweep, and the number of scans there are."""
        written = dict(self)
        if self.domain == "lidar" and self.data.scans and self.generate.scenes is None:
            scenes = {"scenes": len(self.data.loose_scans())}
            written["generate"] = self.generate.model_copy(update=scenes)
        if self.sweep is not None:
            students, sets = combined(self.sweep, self.students, self.sets)
            written |= {"students": students, "sets": sets, "sweep": None}
        return written

    def _autoguided(self) -> dict[str, float]:
        """Return the guidance weight of all that has a share of autoguidance, by its key."""
        sets = {f"sets.{name}.sampler.autoguidance": s.sampler for name, s in self.sets.items()}
        weights = {key: one.guidance for key, one in sets.items() if one.autoguidance}
        return weights | {
            f"students.{name}.teacher_autoguidance": student.teacher_guidance
            for name, student in self.students.items()
            if student.teacher_autoguidance
        }

    @property
    def _tuned(self) -> bool:
        return any(one.sampler.kind == "tuned" for one in self.sets.values())

    @property
    def needs_weaker(self) -> bool:
        """Whether a set or a student is guided away from the weaker model."""
        return bool(self._autoguided())

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


def load_config(path: Path) -> RunConfig:
    """Read and validate a run's YAML.

    Raises:
        FewstepError: The file is missing, no YAML, or says something that can't be.
    """
    return parse_config(read_yaml(path), str(path))


def parse_config(content: Any, source: str = "config") -> RunConfig:
    """Validate a run's settings as read from YAML; ``source`` names them in messages."""
    try:
        run = RunConfig.model_validate(content)
        return RunConfig.model_validate(run.written_out())
    except ValidationError as error:
        raise explained(error, source) from error


def continued(settings: RunConfig, path: Path) -> RunConfig:
    """Return settings that keep the shards of the run's earlier ones.

    Args:
        settings: Of a run that is about to start.
        path: Where it wrote its settings the last time; none, or of another version, is no
            earlier run.
    """
    try:
        earlier = load_config(path)
    except FewstepError:
        return settings
    plan = settings.generate.following(earlier.generate)
    return settings.model_copy(update={"generate": plan})
