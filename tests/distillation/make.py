"""Objectives under test, made of keywords: settings, and what a field would give to them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from domains.distillation.objectives.adversarial import Adversarial, AdversarialConfig
from domains.distillation.objectives.objective import Objective
from domains.distillation.objectives.registry import settings_of
from domains.distillation.times import Times

__all__ = ["Given", "make", "one_time", "with_judge"]


@dataclass(frozen=True)
class Given:
    """Resources of which each is what a test gives."""

    draw: Any = None
    judged: Any = None
    prefers: Any = None
    errors: Any = None
    override: Any = None

    def examples(self) -> Any:
        return self.draw

    def judge(self) -> Any:
        return self.judged

    def preference(self, kind: str) -> Any:
        return self.prefers

    def structure(self) -> Any:
        return self.errors

    def overriding(self, forget: str, instead: str | None) -> Any:
        return self.override


def one_time(time: float) -> Times:
    """A single time, which settings would refuse."""
    return Times.model_construct(kind="beta", low=time, high=time)


def make(objective: type[Objective], times: Times | None = None, **given: Any) -> Any:
    """An objective with these settings, times of student and fake scores, and resources."""
    settings = settings_of(objective)
    names = Given.__dataclass_fields__
    resources = Given(**{key: given.pop(key) for key in list(given) if key in names})
    if times is not None:
        every = {"student_times", "fake_times", "times"} & set(settings.model_fields)
        given = dict.fromkeys(every, times) | given
    needed: dict[str, Any] = {"forget": "1"} if "forget" in settings.model_fields else {}
    plain = settings.model_validate(needed)
    # As it is: a single time, or a discriminator without weights, is a test's business.
    return objective(plain.model_copy(update=given), resources)


def with_judge(base: Objective, judge: Callable, draw: Any, weight: float, critic: float) -> Any:
    """A discriminator beside an objective."""
    weights = AdversarialConfig(weight=weight, critic_weight=critic)
    return Adversarial(base, weights, Given(draw=draw, judged=judge))
