"""The roles of a distillation (student, teacher, fake scores) and the student's roll-out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

from jaxtyping import Float

from domains.batch import Batch
from domains.device import constant, sent, waits
from domains.distillation.denoiser import Denoiser
from domains.distillation.network_calls import NetworkCalls
from domains.distillation.noise import KeyedNoise, generator
from domains.distillation.process import NoiseProcess
from domains.distillation.sampling.rescale import Rescale, Rescaled
from domains.distillation.sampling.roll_out import RollOutConfig
from domains.distillation.sampling.sampler import Step, renoise
from domains.distillation.sampling.settings import Renoise
from domains.lazy import torch

__all__ = ["Draws", "Loss", "Roles", "RollOut", "by_time", "call_times", "sums_by_time"]


class Loss(NamedTuple):
    """A scalar to minimise, and numbers to log.

    A diagnostic is a scalar, or a vector of a sum and its count, of which the mean is logged: only
    an accelerator knows that count, and it may be 0.
    """

    value: Float[torch.Tensor, ""]
    diagnostics: dict[str, torch.Tensor]


@dataclass(frozen=True)
class Draws:
    """Random numbers of one micro-batch, by name: the same key gives the same numbers."""

    key: tuple[int | str, ...]
    device: torch.device | str = "cpu"

    def source(self, name: str) -> torch.Generator:
        """Return the generator of a named draw."""
        return generator(*self.key, name)

    def noise(self, name: str) -> KeyedNoise:
        """Return a source of standard normal points."""
        return KeyedNoise(self.source(name), self.device)

    def integer(self, name: str, below: int) -> int:
        """Return an integer in [0, below)."""
        return int(torch.randint(below, (1,), generator=self.source(name)))


def call_times(
    sampler: Renoise | RollOutConfig, process: NoiseProcess
) -> Float[torch.Tensor, " k"]:
    """Return the times of a sampler's calls, the process's own where it has none."""
    return torch.tensor(sampler.times) if sampler.times else process.times(sampler.steps)


@dataclass(frozen=True)
class RollOut:
    """The student's few-step sampling during training.

    Attributes:
        times: Times of the steps, noisy to clean.
        noise_scale: γ of the roll-out.
        eta: Share of fresh noise in a step's noise (see ``renoise``); 0 is deterministic.
        self_conditioning: Hand each step's clean estimate to the next.
        each_sample: Draw the step that learns for each sample, not one for all of a batch.
        shared: Whether the fake scores and the student of an update learn from one roll-out.
    """

    times: Float[torch.Tensor, " k"]
    noise_scale: float = 1.0
    eta: float = 1.0
    self_conditioning: bool = False
    each_sample: bool = False
    shared: bool = False

    @classmethod
    def of(cls, settings: RollOutConfig, process: NoiseProcess) -> RollOut:
        """Build the roll-out that the settings describe."""
        return cls(
            times=call_times(settings, process),
            noise_scale=settings.noise_scale,
            eta=settings.eta,
            self_conditioning=settings.self_conditioning,
            each_sample=settings.each_sample,
            shared=settings.shared,
        )

    def steps(
        self, student: Denoiser, process: NoiseProcess, batch: Batch, draws: Draws
    ) -> Iterator[Step]:
        """Return the steps of a whole roll-out (see ``renoise``)."""
        return self._played(student, process, batch, draws, len(self.times))

    def _played(
        self, student: Denoiser, process: NoiseProcess, batch: Batch, draws: Draws, count: int
    ) -> Iterator[Step]:
        """Return the first ``count`` steps."""
        return renoise(
            student,
            process,
            batch,
            self.times[:count],
            draws.noise("roll-out"),
            self.noise_scale,
            eta=self.eta,
            self_conditioning=self.self_conditioning,
        )

    def take(
        self,
        student: Denoiser,
        process: NoiseProcess,
        batch: Batch,
        draws: Draws,
        *,
        gradient: bool,
        step: int | None = None,
    ) -> Step:
        """Return one uniformly drawn step (few-step SiD, arXiv 2505.12674).

        The steps before it run without gradient.

        Args:
            student: Denoiser to roll out.
            process: Noise process.
            batch: Mask, origin, condition.
            draws: Numbers of this micro-batch.
            gradient: Keep the gradient of this step.
            step: Which step; drawn when None.
        """
        chosen = draws.integer("step", len(self.times)) if step is None else step
        played = self._played(student, process, batch, draws, chosen + 1)
        with torch.no_grad():
            for _ in range(chosen):
                next(played)
        with torch.set_grad_enabled(gradient):
            return next(played)

    def generate(
        self,
        student: Denoiser,
        process: NoiseProcess,
        batch: Batch,
        draws: Draws,
        *,
        gradient: bool,
        step: int | None = None,
    ) -> Float[torch.Tensor, "b n 3"]:
        """Return the output of one step, a sample (see ``take``), or of one for each sample."""
        with torch.set_grad_enabled(gradient):
            if self.each_sample and step is None:
                clean = self._of_each(student, process, batch, draws)
            else:
                taken = self.take(student, process, batch, draws, gradient=gradient, step=step)
                clean = taken.points
            return process.target(clean, batch)

    def _of_each(
        self, student: Denoiser, process: NoiseProcess, batch: Batch, draws: Draws
    ) -> Float[torch.Tensor, "b n 3"]:
        """Return each sample's output of a step that is drawn for it; no step leads to another."""
        count, samples = len(self.times), len(batch.mask)
        with torch.no_grad():
            steps = list(self.steps(student, process, batch, draws))
        chosen = torch.randint(count, (samples,), generator=draws.source("steps"))
        device, some_first = batch.mask.device, bool((chosen == 0).any())
        time, chosen = sent(self.times[chosen], device), sent(chosen, device)
        rows = torch.arange(samples, device=device)
        noisy = torch.stack([step.noisy for step in steps])[chosen, rows]
        if not self.self_conditioning:
            return student(noisy, time, batch)
        told = torch.stack([steps[0].clean, *(step.clean for step in steps[:-1])])[chosen, rows]
        clean = student(noisy, time, batch, told)
        first = (chosen == 0)[:, None, None]
        # The first step is told nothing.
        return torch.where(first, student(noisy, time, batch), clean) if some_first else clean

    def stretch(self, time: float) -> tuple[float, float]:
        """Return the times that belong to the step at ``time``: up to where it leads.

        The first begins at 0, the noise, and the last ends at 1, the data.
        """
        later = [float(other) for other in self.times if float(other) > time]
        first = len(later) == len(self.times) - 1
        return 0.0 if first else time, later[0] if later else 1.0


@dataclass(frozen=True)
class Roles:
    """The networks an objective may call.

    Attributes:
        process: Noise process they share.
        student: The few-step generator.
        teacher: The frozen teacher as the objective's target: tempered, guided, rescaled; None
            when a teacher itself is trained.
        fakes: Fake scores by the names the objective gave them.
        roll_out: How the student is played.
        as_fake: Wraps a fake score's network, such as by guidance.
        step: Updates that the student has had, for what changes along a training.
        progress: Share of the training that is done, 0 to 1.
        calls: Counter of the calls that bypass a network's ``forward``.
        sample: What the student has played already, for all roles; None: each role plays anew.
    """

    process: NoiseProcess
    student: Denoiser
    teacher: Denoiser | None = None
    fakes: Mapping[str, Denoiser] = field(default_factory=dict[str, Denoiser])
    roll_out: RollOut | None = None
    as_fake: Callable[[Denoiser], Denoiser] = lambda network: network
    step: int = 0
    progress: float = 0.0
    calls: NetworkCalls = field(default_factory=NetworkCalls)
    sample: Float[torch.Tensor, "b n 3"] | None = None

    def fake(self, name: str) -> Denoiser:
        """Return a fake score as its role is played; ``fakes`` has the networks themselves."""
        return self.as_fake(self.fakes[name])

    def play(
        self, batch: Batch, draws: Draws, *, gradient: bool, step: int | None = None
    ) -> Float[torch.Tensor, "b n 3"]:
        """Return a sample of the student's roll-out: the output of one step, drawn when None.

        Raises:
            ValueError: The roles have no roll-out.
        """
        if self.sample is not None and step is None:
            return self.sample if gradient else self.sample.detach()
        return self.rolled.generate(
            self.student, self.process, batch, draws, gradient=gradient, step=step
        )

    @property
    def ode(self) -> tuple[Denoiser, Rescale | None]:
        """The denoiser of the teacher's ODE, and how its score is rescaled, for integrating it.

        Raises:
            ValueError: The roles have no teacher.
        """
        if self.teacher is None:
            raise ValueError("these roles have no teacher")
        if isinstance(self.teacher, Rescaled):
            return self.teacher.denoiser, self.teacher.rescale
        return self.teacher, None

    @property
    def rolled(self) -> RollOut:
        """The roll-out, which must be there."""
        if self.roll_out is None:
            raise ValueError("these roles have no roll-out")
        return self.roll_out


# Edges of the time bins that diagnostics are reported in.
_TIME_EDGES = (0.0, 0.4, 0.7, 0.9, 1.01)


def by_time(
    name: str, values: Float[torch.Tensor, " b"], time: Float[torch.Tensor, " b"]
) -> dict[str, torch.Tensor]:
    """Return the mean of ``values`` in each time bin that holds a sample.

    On an accelerator, where asking which do means waiting, it is a sum and a count (see ``Loss``).
    """
    if waits(time.device):
        return sums_by_time(name, values, time)
    means: dict[str, torch.Tensor] = {}
    for low, high in pairwise(_TIME_EDGES):
        inside = (time >= low) & (time < high)
        if inside.any():
            means[f"{name}_t{low:.1f}"] = values[inside].mean()
    return means


def sums_by_time(
    name: str, values: Float[torch.Tensor, " b"], time: Float[torch.Tensor, " b"]
) -> dict[str, torch.Tensor]:
    """Return the mean of ``values`` in each time bin, and 1; twice 0 where the bin is empty."""
    edges = constant(_TIME_EDGES, time.device, torch.float32)[:, None]
    inside = (time >= edges[:-1]) & (time < edges[1:])
    count = inside.sum(1)
    means = torch.where(inside, values, 0.0).sum(1) / count.clamp(min=1)
    pairs = torch.stack([means, (count > 0).to(means.dtype)], 1).unbind()
    return {f"{name}_t{low:.1f}": pair for low, pair in zip(_TIME_EDGES, pairs, strict=False)}
