"""Sample a batch with any denoiser, in halves where memory is too small for it."""

import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from domains.batch import Batch, Request
from domains.config import Generate, SampleSet
from domains.distillation.denoiser import AskedTwice, Denoiser, Guided
from domains.distillation.noise import NoiseSource, SampleNoise, generator
from domains.distillation.process import NoiseProcess
from domains.distillation.roles import call_times
from domains.distillation.sampling.dpm_solver import solve
from domains.distillation.sampling.sampler import SDE, Step, integrate, polish, renoise
from domains.distillation.sampling.schedule import polish_times, sampling_times
from domains.distillation.sampling.settings import Jitter, Renoise
from domains.distillation.sampling.tuned import Tuned
from domains.errors import FewstepError
from domains.field import Field
from domains.memory import out_of_memory

__all__ = ["Sampled", "Sampling", "batches", "few_steps"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Sampled:
    """A finished sample.

    Attributes:
        points: Coordinates [m, 3].
        seconds: Its share of the batch's wall time, all samples' being equal.
        calls: Network calls.
    """

    points: Tensor
    seconds: float
    calls: int


def few_steps(
    sampler: Renoise, denoiser: Denoiser, process: NoiseProcess, batch: Batch, noise: NoiseSource
) -> Iterator[Step]:
    """Return the steps of few-step sampling (see ``renoise``)."""
    return renoise(
        AskedTwice(denoiser) if sampler.asked_twice else denoiser,
        process,
        batch,
        call_times(sampler, process),
        noise,
        sampler.noise_scales,
        eta=sampler.etas,
        self_conditioning=sampler.self_conditioning,
        rescale=sampler.rescale,
        correction=sampler.correction,
    )


@contextmanager
def _computing(precision: str, device: torch.device) -> Iterator[None]:
    """Multiply matrices in this precision inside."""
    if precision == "bf16-mixed":
        with torch.autocast(device.type, torch.bfloat16):
            yield
        return
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high" if precision == "tf32" else before)
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


@dataclass(frozen=True)
class Sampling:
    """How samples are made.

    Attributes:
        field: The field.
        network: The denoiser, on the device that it runs on.
        sample_set: Sampler and refinement.
        seed: Decides all noise, together with a sample's number.
        weaker: The denoiser that autoguidance pushes away from, on the same device.
        precision: Of the networks' calls (see ``Generate``).
    """

    field: Field
    network: nn.Module
    sample_set: SampleSet
    seed: int
    weaker: nn.Module | None = None
    precision: str = "32-true"

    def samples(self, requests: Mapping[int, Request]) -> dict[int, Sampled | FewstepError]:
        """Sample one batch, by number; an error for a sample without points that count.

        Where memory is too small, halves of the batch are tried, down to single samples, and one
        that does not fit either is an error likewise. A
        sample's noise is its own, so it does not depend on how batches are cut.
        """
        began = time.perf_counter()
        try:
            points, calls = self._batch(requests)
        except (RuntimeError, MemoryError) as error:
            if not out_of_memory(error):
                raise
            reason = str(error).partition("\n")[0] or type(error).__name__
        else:
            seconds = (time.perf_counter() - began) / len(requests)
            pairs = zip(requests.items(), points, strict=True)
            return {
                number: Sampled(one, seconds, calls) if len(one) else _empty(request)
                for (number, request), one in pairs
            }
        # Only here, where the error no longer holds on to the tensors of the failed batch.
        torch.cuda.empty_cache()
        return self._halves(requests, reason)

    def _halves(
        self, requests: Mapping[int, Request], reason: str
    ) -> dict[int, Sampled | FewstepError]:
        if len(requests) == 1:
            ((number, request),) = requests.items()
            return {number: FewstepError(f"{request.name}: out of memory", got=reason)}
        _log.warning("no memory for %d samples at a time: trying halves of them", len(requests))
        numbers, half = list(requests), len(requests) // 2
        parts = ({k: requests[k] for k in part} for part in (numbers[:half], numbers[half:]))
        return {number: made for part in parts for number, made in self.samples(part).items()}

    def _batch(self, requests: Mapping[int, Request]) -> tuple[list[Tensor], int]:
        """Return the finished samples of a batch and the number of network calls per sample."""
        listed, device = list(requests.values()), next(self.network.parameters()).device
        sources = [generator(self.seed, "sample", number) for number in requests]
        noise = SampleNoise(sources, [request.size for request in listed], device)
        sampler = self.sample_set.sampler
        points, calls = None, 0
        with torch.inference_mode(), _computing(self.precision, device):
            blank = self.field.blank(listed).to(device)
            batch = self.field.encode(self.network, blank)
            if isinstance(sampler, Jitter):
                points = sampler.noise_scale * noise(batch.shape)
                points = points if batch.origin is None else batch.origin + points
            for step in self._steps(batch, noise) if points is None else ():
                points, calls = step.points, calls + 1
            finished = self._finish(points, batch, listed)
        times = 2 if getattr(sampler, "asked_twice", False) else 1
        refining = self.field.refining_calls if self.sample_set.refine else 0
        return finished, calls * times * self._denoiser().calls + refining

    def _denoiser(self) -> Guided:
        """Return the network, guided as the set says."""
        sampler, unconditional = self.sample_set.sampler, self.field.unconditional(self.network)
        share = sampler.autoguidance
        return Guided(self.network, sampler.guidance, unconditional, self.weaker, share)

    def _finish(self, points: Tensor | None, batch: Batch, requests: list[Request]) -> list[Tensor]:
        """Return samples as they are written; refuse what is not finite."""
        if points is None or not torch.isfinite(points).all():
            bad = "no points" if points is None else "NaN or infinite coordinates"
            raise FewstepError(
                f"sampling with {self.sample_set.model} ended in {bad}",
                do="Check the model; a smaller noise scale or more steps may help",
            )
        points = self.field.process(self.network).target(points, batch)
        refine = self.sample_set.refine
        return [
            self.field.finish(self.network, points[row, : request.size], request, refine)
            for row, request in enumerate(requests)
        ]

    def _steps(self, batch: Batch, noise: NoiseSource) -> Iterator[Step]:
        """Return the steps of the set's sampler."""
        sampler, process = self.sample_set.sampler, self.field.process(self.network)
        assert not isinstance(sampler, Tuned | Jitter), "the stage puts what was found in its place"
        denoiser = self._denoiser()
        if sampler.kind == "renoise":
            return few_steps(sampler, denoiser, process, batch, noise)
        if sampler.kind == "dpm":
            return solve(denoiser, process, batch, process.times(sampler.steps), noise)
        times = sampling_times(sampler.grid, sampler.steps, sampler.grid_power)
        if sampler.polish:
            times = times[: int((times < sampler.polish_from).sum()) + 1]
        sde = None
        if sampler.kind == "sde":
            until = sampler.stochastic_until
            sde = SDE(sampler.noise_scale, sampler.diffusion, until=until)
        how = sde, sampler.self_conditioning, sampler.rescale
        body = integrate(denoiser, process, batch, times, noise, *how)
        if not sampler.polish:
            return body
        ends, scale = polish_times(sampler.polish_from, sampler.polish), sampler.noise_scale
        return polish(body, denoiser, process, batch, ends, noise, scale)


def _empty(request: Request) -> FewstepError:
    return FewstepError(f"{request.name}: the sample has no points that count")


def batches(plan: Generate, sizes: Mapping[int, int]) -> Iterator[list[int]]:
    """Yield sample numbers of one size, at most ``batch_points`` points together."""
    for size in sorted(set(sizes.values())):
        same = [number for number, other in sizes.items() if other == size]
        most = max(1, plan.batch_points // size)
        for start in range(0, len(same), most):
            yield same[start : start + most]
