"""`sampler: as_trained`: a set that samples a student just as it was sampled in training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from domains.config.fields import located
from domains.distillation.sampling.roll_out import RollOutConfig
from domains.errors import FewstepError
from domains.files.regular import read_json_object
from domains.settings import is_mapping

__all__ = ["AS_TRAINED", "roll_out_of", "trained_roll_out", "with_trained_samplers"]

AS_TRAINED = "as_trained"


def roll_out_of(facts: Mapping[str, Any]) -> RollOutConfig | None:
    """Return the roll-out that a model was trained with, as its description tells; else None.

    Args:
        facts: ``config`` of its ``model.json``.
    """
    try:
        return RollOutConfig.model_validate(facts["provenance"]["distil"]["roll_out"])
    except (KeyError, TypeError, ValueError):
        return None


def trained_roll_out(model: str) -> RollOutConfig | None:
    """Return the roll-out that a finished student was trained with; None: it is no student.

    Args:
        model: A model's directory or bundled name.
    """
    try:
        return roll_out_of(read_json_object(located(model) / "model.json")["config"])
    except (FewstepError, OSError, KeyError):
        return None


def with_trained_samplers(content: Any) -> Any:
    """Return a run's settings, as read, with the sampler written out wherever it is `as_trained`.

    Raises:
        ValueError: The set's model is no student.
    """
    if not is_mapping(content) or not is_mapping(content.get("sets")):
        return content
    sets = {name: _settled(name, given, content) for name, given in content["sets"].items()}
    return {**content, "sets": sets}


def _settled(name: str, given: Any, content: Mapping[str, Any]) -> Any:
    sampler = given.get("sampler") if is_mapping(given) else None
    if not is_mapping(given) or not isinstance(sampler, str):
        return given
    if sampler != AS_TRAINED:
        raise ValueError(
            f"sets.{name}.sampler: expected {AS_TRAINED}, or a sampler written out as"
            f" {{kind: …}}, got {sampler!r}"
        )
    trained = _trained(given.get("model"), content)
    if trained is None:
        raise ValueError(
            f"sets.{name}.sampler: {AS_TRAINED} is for students: {given.get('model')!r} is neither"
            " one of `students` nor a finished one of `models`, so write out how to sample it"
        )
    return {**given, "sampler": trained.sampler(trained.noise_scale)}


def _finished(name: str, model: str) -> RollOutConfig | None:
    """Return the roll-out of one of the run's ``models``.

    Raises:
        ValueError: There is no such model, or it is yet to be prepared.
    """
    if not (located(model) / "model.json").is_file():
        raise ValueError(
            f"models.{name}: {AS_TRAINED} looks into model.json, and there is none at {model};"
            " prepare it first, or correct the path"
        )
    return trained_roll_out(model)


def _trained(model: Any, content: Mapping[str, Any]) -> RollOutConfig | None:
    """Return the roll-out of one of the run's students or models."""
    students, models = (content.get(key) for key in ("students", "models"))
    if not isinstance(model, str):
        return None  # what is wrong with it is told where it stands
    if is_mapping(students) and model in students:
        student = students[model]
        if not is_mapping(student):
            return getattr(student, "roll_out", None)
        try:  # likewise
            return RollOutConfig.model_validate(student.get("roll_out") or {})
        except ValidationError:
            return RollOutConfig()
    if is_mapping(models) and model in models:
        return _finished(model, str(models[model]))
    return None
