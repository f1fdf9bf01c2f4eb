"""Settings of the samplers."""

from __future__ import annotations

import logging
from functools import cache
from itertools import pairwise
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from domains.distillation.sampling.rescale import Rescale
from domains.settings import Config, is_mapping

__all__ = [
    "Correction",
    "Euler",
    "Fresh",
    "Jitter",
    "Positive",
    "Renoise",
    "Solver",
    "Times",
    "check_times",
    "read_deterministic",
]

Fresh = Annotated[float, Field(ge=0, le=1)]
"""A number from 0, all of the kept noise, to 1, all fresh."""
Positive = Annotated[float, Field(gt=0)]
"""A number above 0."""
Times = tuple[Annotated[float, Field(ge=0, lt=1)], ...]
"""Times of calls, from noise (0) to data (1)."""
_log = logging.getLogger(__name__)

# Grids whose last steps are so small that Proteina leaves its SDE earlier on them.
_EARLY_GRIDS = ("cos_sch_v_snr", "edm")


def check_times(times: Times, steps: int) -> None:
    """Check that there is one time for each step, if any, and that they rise.

    Raises:
        ValueError: They are not.
    """
    rising = all(a < b for a, b in pairwise(times))
    if times and (len(times) != steps or not rising):
        raise ValueError(f"times must be {steps} rising numbers, one for each step")


@cache
def _hint_at_eta() -> None:
    """Say once what is written today; settings are parsed many times."""
    _log.warning("deterministic: true is the older word for eta: 0; please write that")


def read_deterministic(content: Any) -> Any:
    """Read the older key ``deterministic``, which is ``eta: 0``.

    Raises:
        ValueError: It is no truth value, or contradicts ``eta``.
    """
    if not is_mapping(content) or "deterministic" not in content:
        return content
    kept = {key: value for key, value in content.items() if key != "deterministic"}
    if content["deterministic"] is False:
        return kept
    if content["deterministic"] is not True:
        raise ValueError("deterministic should be true or false; better write eta: 0 for true")
    if kept.get("eta", 1.0) not in (0, 1):
        raise ValueError("eta is of no use with deterministic: true, which is eta: 0")
    _hint_at_eta()
    return {**kept, "eta": 0.0}


class Correction(Config):
    """What a learned solver changes in the calls after the first (LSD, 2509.19962)."""

    kept: tuple[Annotated[float, Field(ge=0)], ...]
    """Factor of the noise that is kept, one for each of these calls."""
    change: tuple[float, ...]
    """Share of the clean estimate's change since the last call that is added to it once more."""


class Renoise(Config):
    """Few-step sampling with noise modulation."""

    kind: Literal["renoise"] = "renoise"
    """Chooses this sampler."""
    steps: int = Field(default=8, ge=1, le=400)
    """Network calls per sample."""
    noise_scale: float = Field(default=0.45, ge=0)
    """Noise scale γ of the fresh noise; 0 is none from the second call on."""
    noise_scale_end: float | None = Field(default=None, ge=0)
    """γ of the last call, with even steps from `noise_scale` to it; none: the same for all."""
    eta: Fresh | tuple[Fresh, ...] = 1.0
    """Share η of fresh noise in a call's noise: 1 draws it anew, 0 keeps that of the last call (the
    ODE, for students of such roll-outs), between is a mixture; one number, or one for each step."""
    self_conditioning: bool = False
    """Feed the last clean estimate back to the network, for students of such roll-outs
    (proteins)."""
    asked_twice: bool = False
    """Ask the network twice a step, the second time told its first estimate (proteins)."""
    rescale: Rescale | None = None
    """Sharpen the score between the calls; for `eta: 0` only."""
    correction: Correction | None = Field(default=None, exclude_if=lambda given: given is None)
    """What a learned solver changes between the calls, as `tune` finds it; for `eta: 0` only."""
    times: Times = ()
    """Times of the calls, rising from noise (0) to data (1); none: log-spaced for proteins, even
    ones for LiDAR."""
    guidance: float = 1.0
    """Weight w of guidance; 1 is none. Each kind of it is another network call a step."""
    autoguidance: float = Field(default=0.0, ge=0, le=1)
    """Share of autoguidance, away from the run's `weaker` model; the rest is classifier-free."""

    @model_validator(mode="before")
    @classmethod
    def _older_key(cls, content: Any) -> Any:
        return read_deterministic(content)

    @model_validator(mode="after")
    def _times_are_of_the_calls(self) -> Renoise:
        check_times(self.times, self.steps)
        return self

    @model_validator(mode="after")
    def _shares_are_of_the_calls(self) -> Renoise:
        if isinstance(self.eta, tuple) and len(self.eta) != self.steps:
            raise ValueError(f"eta must be a number or {self.steps} of them, one for each step")
        if self.rescale and any(self.etas):
            raise ValueError("rescale goes with eta: 0 only: with fresh noise samples get worse")
        return self

    @model_validator(mode="after")
    def _correction_is_of_the_calls(self) -> Renoise:
        if self.correction is None:
            return self
        if any(self.etas) or self.rescale or self.self_conditioning:
            raise ValueError("correction goes with eta: 0, without rescale and self_conditioning")
        if {len(self.correction.kept), len(self.correction.change)} != {self.steps - 1}:
            raise ValueError(f"correction must have {self.steps - 1} of kept and change")
        return self

    @property
    def noise_scales(self) -> list[float]:
        """γ of each call."""
        end = self.noise_scale if self.noise_scale_end is None else self.noise_scale_end
        change = (end - self.noise_scale) / max(1, self.steps - 1)
        return [self.noise_scale + k * change for k in range(self.steps)]

    @property
    def etas(self) -> list[float]:
        """η of each call."""
        return list(self.eta) if isinstance(self.eta, tuple) else [self.eta] * self.steps

    @property
    def is_deterministic(self) -> bool:
        """Whether only the first noise is drawn."""
        return not any(self.etas)


class Solver(Config):
    """LiDiff's sampler: SDE-DPM-Solver++ of second order."""

    kind: Literal["dpm"]
    """Chooses this sampler."""
    steps: int = Field(default=50, ge=1, le=999)
    """Network calls per sample, without guidance."""
    guidance: float = 1.0
    """Weight w of classifier-free guidance; LiDiff takes 6, Distillation-DPO 3.5."""

    @property
    def noise_scale(self) -> float:
        """The solver adds all of its noise."""
        return 1.0

    @property
    def autoguidance(self) -> float:
        """The solver is LiDiff's, which knows classifier-free guidance only."""
        return 0.0


class Jitter(Config):
    """The points that noise is added to, with a little noise: no network, the floor of a model."""

    kind: Literal["jitter"]
    """Chooses this sampler."""
    noise_scale: float = Field(default=0.1, ge=0)
    """Standard deviation of the noise, in nm or m."""
    steps: ClassVar[int] = 0
    guidance: ClassVar[float] = 1.0
    autoguidance: ClassVar[float] = 0.0


class Euler(Config):
    """Proteina's sampler: its ODE, or its SDE with noise scale γ."""

    kind: Literal["sde", "ode"]
    """Chooses this sampler, with or without noise."""
    steps: int = Field(default=400, ge=1, le=10_000)
    """Network calls per sample."""
    noise_scale: float = Field(default=0.45, ge=0)
    """Noise scale γ of the SDE, and of `polish`."""
    self_conditioning: bool = True
    """Feed the last clean estimate back to the network."""
    grid: Literal["log", "uniform", "power", "loglinear", "cos_sch_v_snr", "edm"] = "log"
    """Where the times are."""
    grid_power: float = Field(default=2.0, gt=0)
    """Exponent of log, power, cosine and EDM grids."""
    diffusion: Literal["1/t", "us", "tan"] = "1/t"
    """The SDE's function g(t)."""
    ode_from: float | None = Field(default=None, ge=0, le=1)
    """Time after which the SDE goes on as the ODE; none: Proteina's, which is 0.99, or 0.985 on
    cosine and EDM grids."""
    rescale: Rescale | None = None
    """Sharpen the score of the ODE."""
    polish: int = Field(default=0, ge=0, le=400)
    """Re-noising calls that take the place of all steps after `polish_from`, which leave bonds
    rough; 0 is Proteina's own sampler."""
    polish_from: float = Field(default=0.9, gt=0, lt=0.99)
    """Time at which they take over."""
    guidance: float = 1.0
    """Weight w of guidance; 1 is none. Each kind of it is another network call a step."""
    autoguidance: float = Field(default=0.0, ge=0, le=1)
    """Share of autoguidance, away from the run's `weaker` model; the rest is classifier-free."""

    @model_validator(mode="after")
    def _noise_is_scaled_once(self) -> Euler:
        if self.rescale and self.kind == "sde":
            raise ValueError("rescale goes with kind: ode; the sde has noise_scale")
        return self

    @property
    def stochastic_until(self) -> float:
        """Last time of a stochastic step."""
        if self.ode_from is None:
            return 0.985 if self.grid in _EARLY_GRIDS else 0.99
        return self.ode_from
