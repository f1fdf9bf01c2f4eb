"""The one network contract: noisy points in, clean estimate out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

from jaxtyping import Bool, Float

from domains.batch import Batch
from domains.lazy import torch

__all__ = ["AskedTwice", "Denoiser", "Guided", "Routed", "Tempered", "Unconditional"]


@runtime_checkable
class Denoiser(Protocol):
    """Teacher, student and fake score are roles of this one type.

    A denoiser estimates the clean points. It is not a velocity, noise or score network:
    such predictions are converted at the adapter, once. It masks its output; it does not
    centre it.
    """

    def __call__(
        self,
        noisy: Float[torch.Tensor, "b n 3"],
        time: Float[torch.Tensor, " b"],
        batch: Batch,
        previous: Float[torch.Tensor, "b n 3"] | None = None,
    ) -> Float[torch.Tensor, "b n 3"]:
        """Estimate the clean points.

        Args:
            noisy: Points at noise level ``time``.
            time: Process time of each sample.
            batch: Mask, origin and condition.
            previous: Clean estimate of the previous step (self-conditioning), or None.
        """
        ...


@dataclass(frozen=True)
class AskedTwice:
    """A self-conditioned denoiser that is told its own first estimate of the same points.

    Networks that were trained with self-conditioning are better told than not; where no earlier
    estimate is near, such as in an objective that noises points anew, this one is.
    """

    denoiser: Denoiser

    def __call__(
        self,
        noisy: Float[torch.Tensor, "b n 3"],
        time: Float[torch.Tensor, " b"],
        batch: Batch,
        previous: Float[torch.Tensor, "b n 3"] | None = None,
    ) -> Float[torch.Tensor, "b n 3"]:
        """Estimate the clean points, by two calls."""
        first = self.denoiser(noisy, time, batch, previous)
        return self.denoiser(noisy, time, batch, first)


@dataclass(frozen=True)
class Unconditional:
    """A denoiser that is never told some of the conditions."""

    denoiser: Denoiser
    drop: tuple[str, ...]

    def __call__(
        self,
        noisy: Float[torch.Tensor, "b n 3"],
        time: Float[torch.Tensor, " b"],
        batch: Batch,
        previous: Float[torch.Tensor, "b n 3"] | None = None,
    ) -> Float[torch.Tensor, "b n 3"]:
        """Estimate the clean points without the dropped conditions."""
        kept = {key: value for key, value in batch.condition.items() if key not in self.drop}
        return self.denoiser(noisy, time, replace(batch, condition=kept), previous)


@dataclass(frozen=True)
class Guided:
    """Classifier-free guidance, autoguidance, or a mixture (Proteina, eq. 6).

    D = w D_cond + (1 − w) [ratio · D_auto + (1 − ratio) · D_uncond]

    Attributes:
        denoiser: The conditional denoiser.
        weight: w; 1 is no guidance and costs one network call.
        unconditional: Denoiser without the condition; needed when ratio < 1.
        auto: A weaker denoiser given the same condition (arXiv 2406.02507); needed when ratio > 0.
        ratio: Share of autoguidance.
    """

    denoiser: Denoiser
    weight: float = 1.0
    unconditional: Denoiser | None = None
    auto: Denoiser | None = None
    ratio: float = 0.0

    @property
    def calls(self) -> int:
        """Network calls of one estimate."""
        return 1 if self.weight == 1.0 else 1 + (self.ratio > 0) + (self.ratio < 1)

    def __call__(
        self,
        noisy: Float[torch.Tensor, "b n 3"],
        time: Float[torch.Tensor, " b"],
        batch: Batch,
        previous: Float[torch.Tensor, "b n 3"] | None = None,
    ) -> Float[torch.Tensor, "b n 3"]:
        """Estimate the clean points, pushed away from the weaker estimates."""
        return self.both(noisy, time, batch, previous)[1]

    def both(
        self,
        noisy: Float[torch.Tensor, "b n 3"],
        time: Float[torch.Tensor, " b"],
        batch: Batch,
        previous: Float[torch.Tensor, "b n 3"] | None = None,
    ) -> tuple[Float[torch.Tensor, "b n 3"], Float[torch.Tensor, "b n 3"]]:
        """Estimate the clean points without guidance, and with it."""
        clean = self.denoiser(noisy, time, batch, previous)
        if self.weight == 1.0:
            return clean, clean
        weaker = 0.0
        for share, other in ((self.ratio, self.auto), (1 - self.ratio, self.unconditional)):
            if share and other is None:
                raise ValueError(f"guidance ratio {self.ratio} needs a denoiser it was not given")
            if share and other is not None:
                weaker = weaker + share * other(noisy, time, batch, previous)
        return clean, self.weight * clean + (1 - self.weight) * weaker


@dataclass(frozen=True)
class Routed:
    """Several denoisers as one: each sample is answered by the expert of its class.

    So one student learns from several teachers and is told which (after DMM, arXiv 2504.12364),
    whatever the objective is. Each expert sees its own samples only, so that a sample costs one
    call. Where an accelerator knows the classes, the host waits for them.

    Attributes:
        denoiser: Answers for the samples of no expert.
        experts: Functions that flag samples [b], with who answers for these; the first one counts.
    """

    denoiser: Denoiser
    experts: tuple[tuple[Callable[[Batch], Bool[torch.Tensor, " b"]], Denoiser], ...]

    def __call__(
        self,
        noisy: Float[torch.Tensor, "b n 3"],
        time: Float[torch.Tensor, " b"],
        batch: Batch,
        previous: Float[torch.Tensor, "b n 3"] | None = None,
    ) -> Float[torch.Tensor, "b n 3"]:
        """Estimate the clean points, each sample by the denoiser that answers for it."""
        clean, left = torch.zeros_like(noisy), torch.ones_like(time, dtype=torch.bool)
        for flags, expert in (*self.experts, (_everyone, self.denoiser)):
            own = flags(batch) & left
            left, rows = left & ~own, own.nonzero()[:, 0]
            if len(rows):
                told = None if previous is None else previous[rows]
                estimate = expert(noisy[rows], time[rows], batch.rows(rows), told)
                clean = clean.index_copy(0, rows, estimate)
        return clean


def _everyone(batch: Batch) -> Bool[torch.Tensor, " b"]:
    return torch.ones(len(batch.mask), dtype=torch.bool, device=batch.mask.device)


@dataclass(frozen=True)
class Tempered:
    """A flow-matching denoiser of the sharpened density p^(1/γ²), to first order.

    Tempering prior and likelihood together leaves the posterior's mode in place:
    p(x)^(1/γ²) N(x_t; t x, σ²) = [p(x) N(x_t; t x, σ²/γ²)]^(1/γ²). So the clean estimate at
    noise σ is the plain denoiser's at the larger noise σ/γ: it is told an earlier time t',
    t'/(1−t') = γ t/(1−t), and the point scaled to it. Exact for Gaussian data. It is what
    re-noising with scale γ < 1 does to a sampler, brought into the objective.

    Attributes:
        denoiser: The plain denoiser.
        noise_scale: γ in (0, 1]; 1 changes nothing.
    """

    denoiser: Denoiser
    noise_scale: float

    def __call__(
        self,
        noisy: Float[torch.Tensor, "b n 3"],
        time: Float[torch.Tensor, " b"],
        batch: Batch,
        previous: Float[torch.Tensor, "b n 3"] | None = None,
    ) -> Float[torch.Tensor, "b n 3"]:
        """Estimate the clean points of the sharpened density; time must be above 0."""
        if self.noise_scale == 1.0:
            return self.denoiser(noisy, time, batch, previous)
        earlier = self.noise_scale * time / (1 - time + self.noise_scale * time)
        scaled = noisy * (earlier / time)[:, None, None]
        return self.denoiser(scaled, earlier, batch, previous)
