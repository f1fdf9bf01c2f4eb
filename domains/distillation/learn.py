"""Learning a few-step solver of a frozen model's ODE by gradients (LSD, arXiv 2509.19962).

The paper learns coefficients of samplers of discrete diffusion, and their times, from trajectories
of many steps. Here it is the ODE of points, and the end of its trajectories.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from jaxtyping import Float

from domains.batch import Batch
from domains.distillation.denoiser import Denoiser
from domains.distillation.objectives.objective import pseudo_huber
from domains.distillation.process import NoiseProcess
from domains.distillation.sampling.sampler import last, renoise
from domains.distillation.sampling.settings import Correction, Renoise
from domains.distillation.sampling.tuned import Learn
from domains.errors import FewstepError
from domains.lazy import torch

__all__ = ["Learned", "learn_solver"]

# Least distance of the calls' times from each other and from both ends, before learning.
_LEAST_GAP = 1e-4
# Time at which the many steps begin.
_FIRST = 0.01
_NEAREST = 1e-5  # of two times


@dataclass(frozen=True)
class Learned:
    """A solver that was learned.

    Attributes:
        sampler: Its settings.
        before: Mean distance of its ends over the first tenth of the updates, in nm or m.
        after: The same over the last tenth.
    """

    sampler: Renoise
    before: float
    after: float


class _Solver:
    """Times of K calls, factors of the noise kept between them, and shares of the last change.

    It begins as the plain ODE's steps at the times given.

    Args:
        times: Of the calls.
        device: Of the network.
    """

    def __init__(self, times: Float[torch.Tensor, " k"], device: torch.device):
        ends = torch.tensor([0.0]), times, torch.tensor([1.0])
        gaps = torch.cat(ends).diff().clamp(min=_LEAST_GAP)
        later = len(times) - 1
        self.gaps = (gaps - _NEAREST).clamp(min=_NEAREST).log().to(device).requires_grad_()
        self.noise = torch.zeros(later, device=device, requires_grad=True)
        self.change = torch.zeros(later, device=device, requires_grad=True)

    @property
    def parameters(self) -> list[torch.Tensor]:
        """All that is learned."""
        return [self.gaps, self.noise, self.change]

    @property
    def times(self) -> Float[torch.Tensor, " k"]:
        """Times of the calls, rising from above 0 to below 1."""
        shares = self.gaps.softmax(0)
        # Never so near each other that they are written alike.
        return (shares * (1 - _NEAREST * len(shares)) + _NEAREST).cumsum(0)[:-1]

    def end(
        self,
        denoiser: Denoiser,
        process: NoiseProcess,
        batch: Batch,
        noise: Float[torch.Tensor, "b n 3"],
    ) -> Float[torch.Tensor, "b n 3"]:
        """Return the sample of one noise, with the gradient of all that is learned.

        It is what ``renoise`` makes with the settings that come out.
        """
        clean = torch.zeros_like(noise) if batch.origin is None else batch.origin
        added, before = noise, clean
        for number, time in enumerate(self.times):
            t = time.expand(len(batch.mask))
            noisy = process.perturb(clean, added, t, batch)
            clean = plain = denoiser(noisy, t, batch)
            if number:
                clean = plain + self.change[number - 1] * (plain - before)
            before = plain
            if number < len(self.noise):
                kept = process.noise_of(process.target(clean, batch), noisy, t, batch)
                added = self.noise[number].exp() * kept
        return process.target(clean, batch)

    def settings(self, guidance: float) -> Renoise:
        """Return the sampler's settings."""
        kept, change = _written(self.noise.exp()), _written(self.change)
        return Renoise(
            steps=len(self.times),
            times=_written(self.times),
            noise_scale=1.0,
            eta=0.0,
            correction=Correction(kept=kept, change=change),
            guidance=guidance,
        )


def learn_solver(
    denoiser: Denoiser,
    process: NoiseProcess,
    steps: int,
    how: Learn,
    drawn: Callable[[int], tuple[Batch, Float[torch.Tensor, "b n 3"]]],
    guidance: float = 1.0,
) -> Learned:
    """Learn a solver whose few steps end where many steps of the ODE end, from the same noise.

    Where a process has steps for times, as LiDiff's, times have no gradient, and stay.

    Args:
        denoiser: The frozen network, guided as it is to be sampled.
        process: Noise process.
        steps: Network calls of the solver.
        how: Updates, rate, and the many steps.
        drawn: Batch and noise of an update by its number.
        guidance: Weight that ``denoiser`` is guided with, for the settings.
    """
    first, noise = drawn(0)
    solver = _Solver(process.times(steps), noise.device)
    optimiser = torch.optim.Adam(solver.parameters, lr=how.rate)
    seen: list[float] = []
    for update in range(how.updates):
        batch, noise = (first, noise) if update == 0 else drawn(update)
        target = _many_steps(denoiser, process, batch, noise, how.teacher_steps)
        loss = pseudo_huber(solver.end(denoiser, process, batch, noise), target, batch, how.huber)
        every = torch.autograd.grad(loss.mean(), solver.parameters, allow_unused=True)
        found = cast("tuple[torch.Tensor | None, ...]", every)  # None: the times', if they stay
        numbers = [loss, *(one for one in found if one is not None)]
        if not all(bool(one.isfinite().all()) for one in numbers):
            raise FewstepError(
                f"learning the solver left the finite numbers at update {update}",
                do="Check the model; lower learn.rate",
            )
        for parameter, gradient in zip(solver.parameters, found, strict=True):
            parameter.grad = gradient
        optimiser.step()  # pyright: ignore[reportUnknownMemberType]
        seen.append(float(loss.detach().mean()))
    part = max(1, how.updates // 10)
    before, after = (sum(values) / part for values in (seen[:part], seen[-part:]))
    return Learned(solver.settings(guidance), before, after)


def _written(values: Float[torch.Tensor, " k"]) -> tuple[float, ...]:
    """Return numbers as settings have them."""
    return tuple(round(float(value), 6) for value in values.detach().cpu())


def _many_steps(
    denoiser: Denoiser, process: NoiseProcess, batch: Batch, noise: torch.Tensor, steps: int
) -> Float[torch.Tensor, "b n 3"]:
    """Return where many steps of the ODE end."""
    ends = torch.tensor(_FIRST), process.times(steps)[-1]
    times = torch.stack([process.between(*ends, k / (steps - 1)) for k in range(steps)])

    def given(shape: tuple[int, int, int]) -> torch.Tensor:
        return noise

    with torch.no_grad():
        played = renoise(denoiser, process, batch, times, given, eta=0.0)
        return process.target(last(played), batch)
