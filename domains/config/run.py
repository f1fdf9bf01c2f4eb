"""A whole run's settings, read from YAML and checked before any job starts."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, Field, ValidationError, model_validator

from domains.config.explain import explained
from domains.config.fields import field_names, field_settings
from domains.config.sections import UNMODELLED, Data, Evaluate, Generate, Listed, SampleSet, Screen
from domains.config.sweep import Sweep, combined
from domains.config.training import Distil, Pretrain
from domains.errors import FewstepError
from domains.files.given import given_files
from domains.files.yaml_file import read_yaml
from domains.settings import MOST_SEED, Config, Name

__all__ = ["PRETRAIN", "RunConfig", "continued", "load_config", "parse_config", "run_settings"]

# As the teacher: train one from scratch.
PRETRAIN = "pretrain"


class RunConfig(Config):
    """A whole run, from teacher to report; each field extends it by its own sections."""

    samplers: ClassVar[tuple[str, ...]] = ("renoise", "tuned")
    """Kinds of samplers that the field has."""
    abilities: ClassVar[frozenset[str]] = frozenset()
    """What else it can: `refine`, `autoguidance`, `self_conditioning`, `natives`, `chains`, or
    `screen`."""

    name: Name
    """Everything is written to `results/<name>`."""
    domain: str
    """Scientific field."""
    seed: int = Field(default=0, ge=0, le=MOST_SEED)
    """Decides every random number."""
    teacher: str = Field(min_length=1)
    """Checkpoint file, model directory or bundled name; `pretrain` trains one from scratch."""
    weaker: str | None = Field(default=None, min_length=1)
    """A weaker model of the same kind, such as an early checkpoint, which autoguidance pushes away
    from; given as `teacher` is (proteins)."""
    models: Mapping[Name, Annotated[str, Field(min_length=1)]] = Field(default_factory=dict)
    """Other models to sample from, such as a finished student from elsewhere: its checkpoint, the
    directory that `fewstep prepare` makes of one, or a bundled name."""
    data: Data = Data()
    """Where its data are."""
    pretrain: Pretrain | None = None
    """How, with `teacher: pretrain`."""
    students: Mapping[Name, Distil] = Field(default_factory=dict)
    """Students by name."""
    generate: Generate
    """How many samples of which sizes."""
    sets: dict[Name, SampleSet]
    """Sets of samples by name; none: the teacher is all that is made."""
    sweep: Sweep | None = None
    """Students and sets for every combination of a few settings; written out as such."""
    evaluate: Evaluate = Evaluate()
    """What is measured."""
    screen: Screen | None = None
    """Gates that the samples have to pass, and which sets are sent through them; none if not
    given."""
    title: str = ""
    """Title of the report; the run's name if empty."""
    notes: str = ""
    """Text of the report; blank lines part paragraphs."""

    @classmethod
    def obstacle(cls, student: Distil) -> str:
        """Name the setting that keeps the field from training a student; empty if none does."""
        if "self_conditioning" in cls.abilities:
            return ""
        if student.roll_out.self_conditioning:
            return "roll_out.self_conditioning: the networks of this field have none"
        if student.teacher_asked_twice:
            return "teacher_asked_twice: the networks of this field have no self-conditioning"
        return ""

    @model_validator(mode="after")
    def _teacher_is_described(self) -> RunConfig:
        if self.teacher == PRETRAIN and self.pretrain is None:
            raise ValueError(f"teacher is {PRETRAIN!r}, but there is no pretrain section")
        return self

    @model_validator(mode="after")
    def _known_models(self) -> RunConfig:
        known = {"teacher", *UNMODELLED}
        for key, names in (("students", set(self.students)), ("models", set(self.models))):
            if taken := known & names:
                raise ValueError(f"{key}.{min(taken)}: this name is taken")
            known |= names
        for name, sample_set in self.sets.items():
            if sample_set.model not in known:
                raise ValueError(
                    f"sets.{name}.model is {sample_set.model!r}, not one of {sorted(known)}"
                )
        return self

    @model_validator(mode="after")
    def _students_start_somewhere(self) -> RunConfig:
        for name in self.students:
            seen, start = {name}, self.students[name].start
            while start is not None and start in self.students:
                if start in seen:
                    raise ValueError(f"students.{name}.start: {start} would start from itself")
                seen.add(start)
                start = self.students[start].start
        return self

    @model_validator(mode="after")
    def _autoguidance_has_a_weaker_model(self) -> RunConfig:
        for key, weight in self._autoguided().items():
            if "autoguidance" not in self.abilities:
                raise ValueError(f"{key}: the {self.domain} field has no autoguidance")
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
    def _students_are_of_the_field(self) -> RunConfig:
        for name, student in self.students.items():
            if reason := self.obstacle(student):
                raise ValueError(f"students.{name}.{reason}")
        return self

    @model_validator(mode="after")
    def _samplers_are_of_the_field(self) -> RunConfig:
        for name, sample_set in self.sets.items():
            sampler, where = sample_set.sampler, f"sets.{name}.sampler"
            if sampler.kind not in self.samplers:
                raise ValueError(
                    f"{where}: {sampler.kind} is none of the"
                    f" {self.domain} field, which has {', '.join(self.samplers)}"
                )
            for key in ("self_conditioning", "asked_twice"):
                if getattr(sampler, key, False) and "self_conditioning" not in self.abilities:
                    raise ValueError(f"{where}.{key}: its networks have no self-conditioning")
            if sampler.kind == "tuned" and sampler.judge not in {"quick", *self.abilities}:
                raise ValueError(f"{where}.judge: this field compares nothing with natives")
            if sample_set.chain and "chains" not in self.abilities:
                raise ValueError(f"sets.{name}.chain: files of the {self.domain} field have none")
            if sample_set.refine and "refine" not in self.abilities:
                raise ValueError(f"sets.{name}.refine: the {self.domain} field refines nothing")
        return self

    @model_validator(mode="after")
    def _screened_sets_are_there(self) -> RunConfig:
        if self.screen and "screen" not in self.abilities:
            raise ValueError(f"screen: the {self.domain} field has no gates")
        for name in self.screen.sets if self.screen else ():
            if name not in self.sets:
                raise ValueError(f"screen.sets names {name!r}, not one of {sorted(self.sets)}")
        return self

    def written_out(self) -> dict[str, Any]:
        """Write out the students and sets of the sweep."""
        written = dict(self)
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
    def searches(self) -> bool:
        """Whether a set's sampler is searched."""
        return any(one.sampler.kind == "tuned" for one in self.sets.values())

    @property
    def needs_weaker(self) -> bool:
        """Whether a set or a student is guided away from the weaker model."""
        return bool(self._autoguided())

    @property
    def screened(self) -> list[str]:
        """Names of the sets that are screened."""
        if self.screen is None:
            return []
        made = [n for n, one in self.sets.items() if one.files or one.model not in UNMODELLED]
        return [*(self.screen.sets or made)]

    @property
    def located_data(self) -> Data:
        """Where the data are, those to simulate too."""
        return self.data.located(f"results/{self.name}/streets")

    @property
    def needs_tools(self) -> bool:
        """Whether a measure or a gate needs weights that have to be fetched."""
        return False

    def sample_set(self, name: str) -> SampleSet:
        """Return a set by its name.

        Raises:
            FewstepError: There is no such set.
        """
        if name not in self.sets:
            raise FewstepError("unknown set", expected=f"one of {sorted(self.sets)}", got=name)
        return self.sets[name]

    def plan(self, name: str) -> Generate:
        """Return which samples a set has, in which shards: the run's, or one for each of its files.

        Raises:
            FewstepError: There is no such set, or there are no files.
        """
        place = self.sample_set(name).files
        if place is None:
            return self.generate
        return Listed(listed=len(given_files(place)), shard_size=self.generate.shard_size)


def load_config(path: Path) -> RunConfig:
    """Read and validate a run's YAML.

    Raises:
        FewstepError: The file is missing, no YAML, or says something that can't be.
    """
    return parse_config(read_yaml(path), str(path))


def parse_config(content: Any, source: str = "config") -> RunConfig:
    """Validate a run's settings as read from YAML; ``source`` names them in messages."""
    settings = run_settings(content, source)
    try:
        run = settings.model_validate(content)
        return settings.model_validate(run.written_out())
    except ValidationError as error:
        raise explained(error, source) from error


class _Named(BaseModel):
    """What every run says, whatever its field."""

    name: Name
    domain: str


def run_settings(content: Any, source: str = "config") -> type[RunConfig]:
    """Return the settings class of the field that a run names.

    Raises:
        FewstepError: It names none that there is.
    """
    try:
        name = _Named.model_validate(content).domain
    except ValidationError as error:
        raise explained(error, source) from error
    if name not in field_names():
        raise FewstepError(
            f"{source}, domain: no such field",
            expected=" or ".join(field_names()),
            got=repr(name),
            do="See docs/configuration.md for the keys and their ranges",
        )
    return field_settings(name).run


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
