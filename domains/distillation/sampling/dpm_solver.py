"""SDE-DPM-Solver++ of second order (arXiv 2211.01095, alg. 2, SDE form): LiDiff's sampler."""

from __future__ import annotations

from collections.abc import Iterator

from jaxtyping import Float

from domains.batch import Batch
from domains.device import sent
from domains.distillation.denoiser import Denoiser
from domains.distillation.noise import NoiseSource
from domains.distillation.process import NoiseProcess
from domains.distillation.sampling.sampler import Step
from domains.lazy import torch

__all__ = ["solve"]

# With fewer steps the last one is of first order.
_MANY_STEPS = 15


def solve(
    denoiser: Denoiser,
    process: NoiseProcess,
    batch: Batch,
    times: Float[torch.Tensor, " k"],
    noise: NoiseSource,
    end: float = 1.0,
) -> Iterator[Step]:
    """Integrate the offsets from ``batch.origin`` as a variance-preserving diffusion.

    An offset o at noise σ has the clean estimate (o − σ ε̂)/α with α² + σ² = 1. That is not
    the denoiser's own estimate x_t − σ ε̂: LiDiff diffuses points without scaling them and
    samples as if it did; both agree for the offset 0 that it trains towards.

    The history is a local variable: it can't leak from one scan into the next.

    Args:
        denoiser: Teacher or student.
        process: Says σ(t).
        batch: Mask, origin, condition.
        times: One time per network call, from noisy to clean.
        noise: Source; one draw for the start, one per step.
        end: Time after the last step.

    Yields:
        A Step per network call.
    """
    mask = batch.mask[..., None]
    origin = torch.zeros(batch.shape, device=mask.device) if batch.origin is None else batch.origin
    offset = noise(batch.shape) * mask
    all_times = torch.cat([times.float(), torch.tensor([end])])
    sigma = process.sigma(all_times)
    alpha = (1 - sigma**2).sqrt()
    log_snr = alpha.log() - sigma.log()
    before, h_before = None, torch.tensor(0.0)
    for k in range(len(times)):
        t = sent(times[k], mask.device).expand(len(mask))
        noisy = origin + offset
        clean = denoiser(noisy, t, batch)
        predicted = process.noise_of(clean, noisy, t, batch)
        estimate = (offset - sigma[k] * predicted) / alpha[k]
        h = log_snr[k + 1] - log_snr[k]
        combined = estimate
        if before is not None and (k < len(times) - 1 or len(times) >= _MANY_STEPS):
            combined = estimate + 0.5 * (estimate - before) * (h / h_before)
        decay = torch.exp(-2 * h)
        offset = (
            (sigma[k + 1] / sigma[k]) * torch.exp(-h) * offset
            + alpha[k + 1] * (1 - decay) * combined
            + sigma[k + 1] * (1 - decay).sqrt() * noise(batch.shape)
        ) * mask
        before, h_before = estimate, h
        yield Step(float(times[k]), noisy, clean, (origin + offset) * mask)
