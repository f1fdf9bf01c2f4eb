"""Settings of a training run: its length, its batches, its optimisers, DisBack's recorded path."""

from __future__ import annotations

from typing import Literal, NamedTuple

from pydantic import Field, model_validator

from domains.settings import Config

__all__ = ["INCIDENTAL", "Degradation", "Extent", "Fit", "Optimiser"]

# Settings of a fit that change when a run stops or what it prints, but not its result.
INCIDENTAL = {
    *("activation_checkpointing", "checkpoint_every", "checkpoint_minutes"),
    *("log_every", "max_seconds"),
}


def _absent(given: object) -> bool:
    """Leave out of what decides a training a key that was not given: older trainings lack it."""
    return given is None


class Optimiser(Config):
    """How one role is optimised."""

    method: Literal["adam", "muon"] = Field(
        default="adam", exclude_if=lambda given: given == "adam"
    )
    """`muon` steps the matrices inside the network by Muon and the rest by Adam: fewer updates for
    networks of linear layers, such as the proteins'; the rate is Adam's."""
    rate: float = Field(default=1e-4, gt=0)
    """Learning rate, after the warm-up."""
    beta1: float = Field(default=0.9, ge=0, lt=1)
    """Decay of the gradient's running mean."""
    beta2: float = Field(default=0.999, ge=0, lt=1)
    """Decay of the squared gradient's running mean."""
    clip: float = Field(default=1.0, gt=0)
    """Bound of the gradient norm."""
    schedule: Literal["constant", "cosine", "cosine_restarts"] = "constant"
    """`cosine` decays to `floor` at the last step; `cosine_restarts` is SGDR."""
    warmup: int = Field(default=0, ge=0)
    """Steps of linear warm-up."""
    floor: float = Field(default=1e-6, ge=0)
    """Learning rate that a cosine ends at."""
    period: int = Field(default=1000, ge=1)
    """Steps to the first restart; doubled at each."""


class Extent(NamedTuple):
    """How far a training is.

    Attributes:
        steps: Updates of the student.
        network_calls: Calls of all networks, a sample at a time.
        seconds: Of wall time, validations and earlier parts of a resumed training included.
    """

    steps: int
    network_calls: int = 0
    seconds: float = 0.0


class Fit(Config):
    """A training run: its length, its batches, what is kept."""

    steps: int | None = Field(default=None, ge=1, le=1_000_000_000)
    """Optimisation steps of the student; this, `network_calls` or `seconds`."""
    network_calls: int | None = Field(default=None, ge=1, le=10**15)
    """Instead: train until the networks were called so often, a sample at a time; a call that is
    differentiated counts three. What costs the same whatever the objective."""
    seconds: float | None = Field(default=None, gt=0)
    """Instead: train for so long, with the schedules' end at it, as an allocation allows. The
    number of steps is the machine's then, so that no two trainings are alike bit for bit."""
    accumulate: int = Field(default=1, ge=1, le=1_000_000)
    """Micro-batches per step."""
    ema: float = Field(default=0.99, ge=0, lt=1)
    """Decay of the student's running average, per step (ramped up at the start)."""
    precision: Literal["32-true", "bf16-mixed"] = "32-true"
    """Of the networks' forward passes."""
    activation_checkpointing: bool = False
    """Compute activations again in the backward pass: less memory, a quarter or so more time."""
    checkpoint_every: int = Field(default=100, ge=1)
    """Steps between checkpoints."""
    checkpoint_minutes: float | None = Field(default=None, gt=0, exclude_if=_absent)
    """Instead: minutes between checkpoints, whatever the machine's speed."""
    validate_every: int = Field(default=0, ge=0)
    """Steps between validations; 0 is never."""
    validations: int = Field(default=0, ge=0, le=1_000_000)
    """Instead: so many, evenly over the training and one at its end; students that choose their
    best checkpoint are compared fairly only if they have as many to choose from."""
    validate_minutes: float | None = Field(default=None, gt=0, exclude_if=_absent)
    """Instead: minutes between validations, and one at the end; which checkpoint is best then
    depends on the machine's speed."""
    log_every: int = Field(default=10, ge=1)
    """Steps between rows of the log."""
    max_seconds: float | None = Field(default=None, gt=0)
    """Stop (resumably, in the middle of the schedules) after this long."""

    @model_validator(mode="after")
    def _one_end(self) -> Fit:
        if sum(end is not None for end in (self.steps, self.network_calls, self.seconds)) != 1:
            raise ValueError("either steps, network_calls or seconds says when training ends")
        ways = self.validate_every, self.validations, self.validate_minutes
        if sum(bool(way) for way in ways) > 1:
            raise ValueError(
                "either validate_every or validations or validate_minutes says when to validate"
            )
        return self

    def count(self, at: Extent) -> tuple[float, float, str]:
        """Return (done, total, unit) by what ends the training: step, network call or second."""
        if self.network_calls is not None:
            return at.network_calls, self.network_calls, "call"
        if self.seconds is not None:
            return at.seconds, self.seconds, "second"
        return at.steps, self.steps or 0, "step"

    @property
    def validates(self) -> bool:
        """Whether the training is validated at all."""
        return bool(self.validations or self.validate_every or self.validate_minutes)

    def validations_until(self, at: Extent) -> int:
        """Return the validations due so far."""
        if not self.validations:
            return at.steps // self.validate_every if self.validate_every else 0
        done, total, _ = self.count(at)
        return int(self.validations * min(done, total) // total)

    def progress(self, at: Extent) -> float:
        """Return the share of the training done before an update, 0 to 1.

        The last of ``self.steps`` steps has 1.
        """
        done, total, unit = self.count(at)
        return min(1.0, done / (max(1, total - 1) if unit == "step" else total))

    def is_done(self, at: Extent) -> bool:
        """Return whether the training is complete."""
        done, total, _ = self.count(at)
        return done >= total


class Degradation(Config):
    """DisBack: distilling along recorded intermediate teachers, the latest first.

    The fit's first (checkpoints + 1) × steps steps record them and train the fake score only.
    """

    checkpoints: int = Field(default=3, ge=1, le=100)
    """Networks between the fake score's start and the teacher, recorded one after the other."""
    steps: int = Field(default=50, ge=1, le=1_000_000)
    """Steps from one to the next."""
    switch_every: int = Field(default=50, ge=1, le=1_000_000)
    """Steps of the student towards each of them, the latest first; then towards the teacher."""

    @property
    def recording(self) -> int:
        """Steps before the student's first."""
        return (self.checkpoints + 1) * self.steps

    @property
    def arrival(self) -> int:
        """Step from which on the teacher itself is the target."""
        return self.recording + self.checkpoints * self.switch_every
