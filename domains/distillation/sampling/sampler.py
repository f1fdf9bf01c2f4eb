"""Samplers: functions over any denoiser, teacher or student alike."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from jaxtyping import Float

from domains.batch import Batch
from domains.device import sent
from domains.distillation.denoiser import Denoiser
from domains.distillation.noise import NoiseSource
from domains.distillation.process import NoiseProcess
from domains.distillation.sampling.rescale import Rescale
from domains.distillation.sampling.schedule import Diffusion, diffusion_coefficient
from domains.distillation.sampling.settings import Correction
from domains.lazy import torch

__all__ = ["SDE", "Step", "integrate", "last", "ode_step", "polish", "renoise"]


@dataclass(frozen=True)
class Step:
    """One network call of a sampler.

    Attributes:
        time: Time of the call.
        noisy: Input of the call.
        clean: Its clean estimate.
        points: The state after the step; the sample, at the last step.
    """

    time: float
    noisy: Float[torch.Tensor, "b n 3"]
    clean: Float[torch.Tensor, "b n 3"]
    points: Float[torch.Tensor, "b n 3"]


def last(steps: Iterator[Step]) -> Float[torch.Tensor, "b n 3"]:
    """Run a sampler to its end and return the sample."""
    played = deque(steps, maxlen=1)
    if not played:
        raise ValueError("a sampler without steps")
    return played[0].points


def _time(time: torch.Tensor, batch: Batch) -> Float[torch.Tensor, " b"]:
    return sent(time, batch.mask.device).expand(batch.mask.shape[0])


def renoise(
    denoiser: Denoiser,
    process: NoiseProcess,
    batch: Batch,
    times: Float[torch.Tensor, " k"],
    noise: NoiseSource,
    noise_scale: float | Sequence[float] = 1.0,
    start: Float[torch.Tensor, "b n 3"] | None = None,
    *,
    eta: float | Sequence[float] = 1.0,
    self_conditioning: bool = False,
    rescale: Rescale | None = None,
    correction: Correction | None = None,
) -> Iterator[Step]:
    """Few-step sampling: denoise, re-noise, denoise (arXiv 2510.03095, alg. 1).

    x_t = origin + α(t) (x̂ − origin) + σ(t) [η γ ε + sqrt(1 − η²) ε̂], with x̂ the previous
    clean estimate (the origin at first), and ε̂ what the last call took for noise (DDIM,
    arXiv 2010.02502, eq. 12 and 16; at first there is none, and η is 1). γ < 1 is noise
    modulation. η = 1 draws all noise anew, η = 0 only the first: an Euler step of the ODE; a
    list of both mixes the samplers. The training roll-out is this very function.

    Args:
        denoiser: Teacher or student.
        process: Noise process.
        batch: Mask, origin, condition.
        times: One time per network call, from noisy to clean.
        noise: Source of fresh noise, one draw per call with η > 0.
        noise_scale: γ of fresh noise, one number or one per step.
        start: Clean estimate to start from instead of the origin.
        eta: η of each step's noise, in [0, 1], one number or one per step.
        self_conditioning: Hand each call's clean estimate to the next.
        rescale: Sharpen the score between the calls; for η = 0 (with fresh noise, samples get
            worse). The last call's estimate is the plain one.
        correction: What a learned solver changes in the calls after the first; for η = 0.

    Yields:
        A Step per network call; ``points`` is its clean estimate.
    """
    scales = _each(noise_scale, times)
    shares = _each(eta, times)
    clean = start
    if clean is None:
        clean = torch.zeros(batch.shape, device=batch.mask.device)
        clean = clean if batch.origin is None else clean + batch.origin
    step, before = None, clean
    for number, (time, scale, share) in enumerate(zip(times, scales, shares, strict=True)):
        t = _time(time, batch)
        if step is None or share == 1:
            added = scale * noise(batch.shape)
        else:
            added = _implied_noise(step, process, batch)
            if rescale is not None:
                shrunk = rescale.shrinkage(process, torch.tensor(step.time), time)
                added = sent(shrunk, t.device) * added
            if correction is not None:
                added = correction.kept[number - 1] * added
            if share > 0:
                added = share * scale * noise(batch.shape) + math.sqrt(1 - share**2) * added
        noisy = process.perturb(clean, added, t, batch)
        previous = step.clean if step is not None and self_conditioning else None
        clean = plain = denoiser(noisy, t, batch, previous)
        if correction is not None and step is not None:
            clean = plain + correction.change[number - 1] * (plain - before)
        before = plain
        step = Step(float(time), noisy, clean, clean)
        yield step


def ode_step(
    process: NoiseProcess,
    clean: Float[torch.Tensor, "b n 3"],
    noisy: Float[torch.Tensor, "b n 3"],
    time: Float[torch.Tensor, " b"],
    later: Float[torch.Tensor, " b"],
    batch: Batch,
    rescale: Rescale | None = None,
) -> Float[torch.Tensor, "b n 3"]:
    """Return the points after one deterministic step, each sample with its own times.

    Args:
        process: Noise process.
        clean: Clean estimate of the points.
        noisy: The points at ``time``.
        time: Time at the step's start [b].
        later: Time at its end [b].
        batch: Mask, origin, condition.
        rescale: Sharpen the score meanwhile.
    """
    noise = process.noise_of(process.target(clean, batch), noisy, time, batch)
    if rescale is not None:
        noise = rescale.shrinkage(process, time, later)[:, None, None] * noise
    return process.perturb(clean, noise, later, batch)


def _each(value: float | Sequence[float], times: Float[torch.Tensor, " k"]) -> Sequence[float]:
    return [value] * len(times) if isinstance(value, int | float) else value


def _implied_noise(step: Step, process: NoiseProcess, batch: Batch) -> Float[torch.Tensor, "b n 3"]:
    """Return the noise [b, n, 3] implied by a step's clean estimate."""
    t = _time(torch.tensor(step.time), batch)
    return process.noise_of(process.target(step.clean, batch), step.noisy, t, batch)


@dataclass(frozen=True)
class SDE:
    """Stochastic part of Proteina's sampler; without it the ODE is integrated.

    Attributes:
        noise_scale: γ of sqrt(2 g γ dt) ε (Proteina's ``sc_scale_noise``).
        diffusion, power, maximum: The function g(t).
        until: Times above this are integrated by the ODE.
    """

    noise_scale: float = 0.45
    diffusion: Diffusion = "1/t"
    power: float = 1.0
    maximum: float | None = None
    until: float = 0.99


def integrate(
    denoiser: Denoiser,
    process: NoiseProcess,
    batch: Batch,
    times: Float[torch.Tensor, " k1"],
    noise: NoiseSource,
    sde: SDE | None = None,
    self_conditioning: bool = False,
    rescale: Rescale | None = None,
) -> Iterator[Step]:
    """Integrate the flow by Euler (ODE) or Euler–Maruyama (SDE) (arXiv 2503.00710, eq. 5).

    x += v dt, or x += (v + g s) dt + sqrt(2 g γ dt) ε, on a linear path from noise (t = 0)
    to data (t = 1), with s = (t v − x)/(1 − t).

    Args:
        denoiser: Teacher or student.
        process: Flow-matching process (it says what centred means).
        batch: Mask and condition.
        times: Grid of steps + 1 times.
        noise: Source; one draw for the start, one per stochastic step.
        sde: Stochastic settings, or None for the ODE.
        self_conditioning: Hand each step's clean estimate to the next.
        rescale: Sharpen the score of the ODE, by exponential steps (see ``Rescale``).

    Yields:
        A Step per network call.
    """
    coefficient = None
    if sde is not None:
        coefficient = diffusion_coefficient(times[:-1], sde.diffusion, sde.power, sde.maximum)
    points = process.project(noise(batch.shape), batch)
    previous = None
    for index, time in enumerate(times[:-1]):
        t, dt = _time(time, batch), times[index + 1] - time
        clean = denoiser(points, t, batch, previous)
        noisy, previous = points, clean if self_conditioning else None
        velocity = (process.project(clean, batch) - process.project(points, batch)) / (1 - time)
        if sde is not None and coefficient is not None and time <= sde.until:
            g = coefficient[index]
            score = (time * velocity - points) / (1 - time)
            spread = torch.sqrt(2 * g * sde.noise_scale * dt)
            points = points + (velocity + g * score) * dt + spread * noise(batch.shape)
        elif rescale is not None:
            implied = points - time * velocity  # ε̂ = x_t − t v
            shrunk = rescale.shrinkage(process, time, times[index + 1]) * implied
            points = times[index + 1] * (implied + velocity) + (1 - times[index + 1]) * shrunk
        else:
            points = points + velocity * dt
        points = process.project(points, batch)
        yield Step(float(time), noisy, clean, points)


def polish(
    body: Iterator[Step],
    denoiser: Denoiser,
    process: NoiseProcess,
    batch: Batch,
    times: Float[torch.Tensor, " k"],
    noise: NoiseSource,
    noise_scale: float = 1.0,
) -> Iterator[Step]:
    """Play a sampler that stops early, then re-noise from its last clean estimate.

    Euler's last small steps leave the roughness of the points behind, where re-noising denoises
    it; far from the data, re-noising draws samples to the mode, where the SDE does not.

    Args:
        body: Steps of a sampler that ends before the data, at least one.
        denoiser: Teacher or student.
        process: Noise process.
        batch: Mask, origin, condition.
        times: Of the network calls after the body.
        noise: Source of fresh noise.
        noise_scale: γ of the re-noising.
    """
    step = None
    for step in body:
        yield step
    if step is None:
        raise ValueError("a sampler without steps")
    yield from renoise(denoiser, process, batch, times, noise, noise_scale, start=step.clean)
