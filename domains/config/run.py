"""A whole run's settings, read from YAML and checked before any job starts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import Field, model_validator

from domains.config.as_trained import with_trained_samplers
from domains.config.fields import field_settings
from domains.config.sections import UNMODELLED, Data, Evaluate, Generate, Listed, SampleSet, Screen
from domains.config.sweep import Sweep, combined
from domains.config.training import Distil, Pretrain
from domains.errors import FewstepError
from domains.files.given import given_files
from domains.settings import MOST_SEED, Config, Name

__all__ = ["PRETRAIN", "RunConfig"]

# As the teacher: train one from scratch.
PRETRAIN = "pretrain"


class RunConfig(Config):
    """A whole run, from teacher to report; each field extends it by its own sections."""

    samplers: ClassVar[tuple[str, ...]] = ("renoise", "tuned")
    """Kinds of samplers that the field has."""
    reads: ClassVar[tuple[str, ...]] = ()
    """Endings of files of other programs that are samples of the field, if they are in a
    directory."""
    abilities: ClassVar[frozenset[str]] = frozenset()
    """What else it can: `refine`, `autoguidance`, `self_conditioning`, `layers`, `natives`,
    `chains`, or `screen`."""

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
    equal_within: Mapping[str, Annotated[float, Field(ge=0)]] = Field(default_factory=dict)
    """Bounds of equivalence by measure, in its unit, in place of the field's own: two sets are
    equal on it where the 95 % interval of their difference is within them; 0 is none."""
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
        if student.layers is not None and "layers" not in cls.abilities:
            return "layers: the networks of this field have none that could be left out"
        if "self_conditioning" in cls.abilities:
            return ""
        if student.roll_out.self_conditioning:
            return "roll_out.self_conditioning: the networks of this field have none"
        if student.teacher_asked_twice:
            return "teacher_asked_twice: the networks of this field have no self-conditioning"
        return ""

    @model_validator(mode="before")
    @classmethod
    def _samplers_as_trained(cls, content: Any) -> Any:
        return with_trained_samplers(content)

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
        for name, student in self.students.items():
            if missing := {one.model for one in student.experts} - {*self.models}:
                raise ValueError(
                    f"students.{name}.experts: {min(missing)!r} is not one of the run's models,"
                    f" {', '.join(sorted(self.models)) or 'of which there are none'}"
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
    def _bounds_are_of_measures(self) -> RunConfig:
        if not self.equal_within:
            return self
        known = field_settings(self.domain).load_metrics()
        for name in self.equal_within:
            if name not in known:
                raise ValueError(f"equal_within.{name}: not one of {', '.join(sorted(known))}")
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
            if sample_set.points and sample_set.model not in UNMODELLED:
                raise ValueError(f"sets.{name}.points: is for data and decoys only")
            if sample_set.points and "thin" not in self.abilities:
                raise ValueError(f"sets.{name}.points: samples of this field cannot be thinned")
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
    def reference_sizes(self) -> tuple[int, int] | None:
        """Sizes of the smallest and largest sample, where the field is ``Describing``."""
        return None

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
    def calibrates(self) -> bool:
        """Whether a calibration of the teacher is fitted first."""
        return False

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
        made = self.sample_set(name)
        if made.files is None:
            return self.generate.of_set(name, 1 if made.model in UNMODELLED else made.sampler.steps)
        listed = len(given_files(made.files, self.reads))
        return Listed(listed=listed, shard_size=self.generate.shard_size)
